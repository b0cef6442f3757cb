package stirshaken

import "time"

// Bounds on everything that comes from outside. Each is a refusal with its own
// Reason when passed.
const (
	// MaxIdentityHeaders bounds the Identity header fields of one request. Ten
	// leaves room for a shaken, an rcd and eight diversions.
	MaxIdentityHeaders = 10
	// MaxIdentityBytes bounds one Identity header field value.
	MaxIdentityBytes = 16 << 10
	// MaxFieldBytes bounds each other header field value that is read.
	MaxFieldBytes = 4 << 10
	// MaxJSONDepth bounds nesting in a PASSporT; jCard arrays in rcd need 6.
	MaxJSONDepth = 12
	// MaxJSONNodes bounds the values in one part of a PASSporT.
	MaxJSONNodes = 1024
	// MaxJSONMembers bounds the members of one object, since duplicates are
	// searched for by comparing each with each.
	MaxJSONMembers = 64
	// MaxDestinations bounds dest.tn plus dest.uri.
	MaxDestinations = 64
	// MaxNumberDigits is the length of an E.164 number and a little more for
	// service codes with * and #.
	MaxNumberDigits = 20
	// MaxURIBytes bounds info, x5u and the uri claims.
	MaxURIBytes = 2 << 10

	// MaxBundleBytes bounds the answer of an x5u server.
	MaxBundleBytes = 64 << 10
	// MaxBundleCertificates bounds the certificates in an x5u answer.
	MaxBundleCertificates = 10
	// MaxTNAuthEntries bounds the entries of a TNAuthList.
	MaxTNAuthEntries = 4096
	// MaxConstraintEntries bounds each list inside a claim constraints
	// extension.
	MaxConstraintEntries = 64
	// MaxCRLBytes bounds one certificate revocation list.
	MaxCRLBytes = 16 << 20
	// MaxCRLEntries bounds the entries of one revocation list.
	MaxCRLEntries = 500_000
)

// Defaults of a zero Config.
const (
	// DefaultFreshness is the age of iat that is still fresh (RFC 8224, section
	// 6.2: sixty seconds is RECOMMENDED).
	DefaultFreshness = 60 * time.Second
	// DefaultSkew is how far iat may lie ahead of our clock.
	DefaultSkew = 60 * time.Second
	// DefaultFetchTimeout bounds a whole x5u fetch, from name look-up to the
	// last byte.
	DefaultFetchTimeout = 2 * time.Second
	// DefaultCacheEntries bounds the certificate cache.
	DefaultCacheEntries = 4096
	// DefaultCacheTTL is how long a fetched certificate is used when its server
	// does not say.
	DefaultCacheTTL = time.Hour
	// MaxCacheTTL bounds what a server may say.
	MaxCacheTTL = 24 * time.Hour
	// MinCacheTTL keeps a server that says no-store from being asked once a
	// call.
	MinCacheTTL = 10 * time.Second
	// DefaultNegativeTTL is how long a failed fetch is remembered.
	DefaultNegativeTTL = 30 * time.Second
	// chainRecheck is how long a chain verdict stands before the cached bytes
	// are validated again.
	chainRecheck = 15 * time.Minute
	// DefaultReplayMarks bounds the replay marks kept in memory.
	DefaultReplayMarks = 1 << 20
	// retransmitWindow is how long one INVITE may still arrive again as itself:
	// 64*T1, RFC 3261, section 17.1.1.2 (timer B).
	retransmitWindow = 32 * time.Second
)
