package stirshaken

import "github.com/ringfence/ringfence"

// Reason names why a header or a call was refused; one name for one cause. The
// names are stable: they stand in logs, ledgers and metrics labels.
type Reason string

// The reasons. The table below gives each its response code, verdict and
// sentence.
const (
	ReasonValid Reason = "valid"

	// Nothing to check (RFC 8224, section 6.2.2: 428).
	ReasonNoIdentity  Reason = "no-identity"
	ReasonUnknownPPT  Reason = "ppt-unknown"
	ReasonBaselineOff Reason = "baseline-not-accepted"
	ReasonCompactOff  Reason = "compact-not-accepted"
	ReasonNoShaken    Reason = "no-shaken"
	ReasonUnlinked    Reason = "div-unlinked"
	ReasonNotNeeded   Reason = "not-needed"

	// Header syntax.
	ReasonTooManyHeaders Reason = "too-many-headers"
	ReasonHeaderTooLong  Reason = "header-too-long"
	ReasonControlByte    Reason = "control-byte"
	ReasonHeaderSyntax   Reason = "header-syntax"
	ReasonDuplicateParam Reason = "parameter-duplicate"
	ReasonInfoMissing    Reason = "info-missing"
	ReasonInfoSyntax     Reason = "info-syntax"
	ReasonAlgParam       Reason = "alg-parameter"

	// Token form.
	ReasonSegments      Reason = "token-segments"
	ReasonBase64        Reason = "token-base64"
	ReasonHeaderJSON    Reason = "header-json"
	ReasonClaimsJSON    Reason = "claims-json"
	ReasonAlg           Reason = "alg"
	ReasonTyp           Reason = "typ"
	ReasonPPTMismatch   Reason = "ppt-mismatch"
	ReasonCrit          Reason = "crit"
	ReasonB64           Reason = "b64"
	ReasonX5UMissing    Reason = "x5u-missing"
	ReasonX5UMismatch   Reason = "x5u-not-info"
	ReasonSignatureForm Reason = "signature-form"

	// Claims.
	ReasonIat          Reason = "claim-iat"
	ReasonOrig         Reason = "claim-orig"
	ReasonDest         Reason = "claim-dest"
	ReasonAttest       Reason = "claim-attest"
	ReasonOrigID       Reason = "claim-origid"
	ReasonDiv          Reason = "claim-div"
	ReasonRCD          Reason = "claim-rcd"
	ReasonRCDI         Reason = "claim-rcdi"
	ReasonRCDIntegrity Reason = "rcdi-digest"

	// Time.
	ReasonStale       Reason = "iat-stale"
	ReasonFuture      Reason = "iat-future"
	ReasonDateStale   Reason = "date-stale"
	ReasonDateMissing Reason = "date-missing"
	ReasonDateSyntax  Reason = "date-syntax"

	// Binding.
	ReasonCallerUnknown Reason = "caller-unknown"
	ReasonCalleeUnknown Reason = "callee-unknown"
	ReasonOrigMismatch  Reason = "orig-mismatch"
	ReasonDestMismatch  Reason = "dest-mismatch"
	ReasonDivBroken     Reason = "div-broken"

	// Getting the certificate (RFC 8224, section 6.2.2: 436).
	ReasonX5UScheme    Reason = "x5u-scheme"
	ReasonX5UForm      Reason = "x5u-form"
	ReasonX5UPort      Reason = "x5u-port"
	ReasonX5UUserinfo  Reason = "x5u-userinfo"
	ReasonX5UQuery     Reason = "x5u-query"
	ReasonX5UFragment  Reason = "x5u-fragment"
	ReasonForbidden    Reason = "fetch-forbidden-address"
	ReasonFetchName    Reason = "fetch-name"
	ReasonFetchConnect Reason = "fetch-connect"
	ReasonFetchTLS     Reason = "fetch-tls"
	ReasonFetchTimeout Reason = "fetch-timeout"
	ReasonFetchStatus  Reason = "fetch-status"
	ReasonRedirect     Reason = "fetch-redirect"
	ReasonFetchSize    Reason = "fetch-size"
	ReasonFetchCoding  Reason = "fetch-coding"
	ReasonFetchBusy    Reason = "fetch-busy"
	ReasonFetchOff     Reason = "fetch-off"
	ReasonFetchFailed  Reason = "fetch-failed"
	ReasonBundleEmpty  Reason = "bundle-empty"
	ReasonBundleSyntax Reason = "bundle-syntax"
	ReasonBundleMany   Reason = "bundle-too-many"

	// Trusting it (RFC 8224, section 6.2.2: 437).
	ReasonUntrusted      Reason = "certificate-untrusted"
	ReasonNoRoots        Reason = "no-trust-anchors"
	ReasonExpired        Reason = "certificate-expired"
	ReasonNotYetValid    Reason = "certificate-not-yet-valid"
	ReasonLeafKey        Reason = "certificate-key"
	ReasonLeafUsage      Reason = "certificate-key-usage"
	ReasonLeafCA         Reason = "certificate-is-ca"
	ReasonLeafEKU        Reason = "certificate-extended-key-usage"
	ReasonCritical       Reason = "certificate-critical-extension"
	ReasonNoTNAuthList   Reason = "tnauthlist-missing"
	ReasonTNAuthList     Reason = "tnauthlist-form"
	ReasonScope          Reason = "out-of-scope"
	ReasonDelegateScope  Reason = "delegate-scope"
	ReasonConstraintForm Reason = "constraints-form"
	ReasonMustInclude    Reason = "constraint-must-include"
	ReasonPermitted      Reason = "constraint-permitted-values"
	ReasonMustExclude    Reason = "constraint-must-exclude"
	ReasonRevoked        Reason = "certificate-revoked"
	ReasonCRLMissing     Reason = "crl-missing"
	ReasonCRLStale       Reason = "crl-stale"
	ReasonCRLSignature   Reason = "crl-signature"
	ReasonCRLForm        Reason = "crl-form"

	// The signature and what follows it.
	ReasonSignature    Reason = "signature"
	ReasonReplayed     Reason = "replayed"
	ReasonReplayFailed Reason = "replay-store"
	ReasonDeadline     Reason = "deadline"

	// A trusted peer's verstat.
	ReasonVerstatPassed Reason = "verstat-passed"
	ReasonVerstatFailed Reason = "verstat-failed"
	ReasonVerstatNone   Reason = "verstat-none"

	// ReasonInternal is also how an empty or unknown Reason reads.
	ReasonInternal Reason = "internal"
)

// reasonRow is one line of the one table: the code RFC 8224, section 6.2.2,
// gives the cause; what it says about the caller's right to the number; and a
// plain sentence.
type reasonRow struct {
	code     int
	tri      ringfence.Tri // No: the check failed. Unknown: nothing can be said.
	sentence string
}

const (
	useIdentity  = 428
	staleDate    = 403
	badInfo      = 436
	unsupported  = 437
	badIdentity  = 438
	notAvailable = 503
)

var reasons = map[Reason]reasonRow{
	ReasonValid: {0, ringfence.Yes, "the signature is valid"},

	ReasonNoIdentity:  {useIdentity, ringfence.Unknown, "the call carries no signature"},
	ReasonUnknownPPT:  {useIdentity, ringfence.Unknown, "the PASSporT is of a type that is not known here, so it is ignored"},
	ReasonBaselineOff: {useIdentity, ringfence.Unknown, "the PASSporT has no type (baseline form), which is not accepted here"},
	ReasonCompactOff:  {useIdentity, ringfence.Unknown, "the PASSporT is in compact form, which is not accepted here"},
	ReasonNoShaken:    {useIdentity, ringfence.Unknown, "no header carries a shaken PASSporT, so nobody attests the number"},
	ReasonUnlinked:    {useIdentity, ringfence.Unknown, "this diversion does not lie on the way to the called number, so it is ignored"},
	ReasonNotNeeded:   {useIdentity, ringfence.Unknown, "this header was not needed for the verdict and was not checked"},

	ReasonTooManyHeaders: {badIdentity, ringfence.No, "the request has more Identity headers than are accepted"},
	ReasonHeaderTooLong:  {badIdentity, ringfence.No, "the Identity header is longer than is accepted"},
	ReasonControlByte:    {badIdentity, ringfence.No, "the Identity header has a control byte or a byte outside ASCII"},
	ReasonHeaderSyntax:   {badIdentity, ringfence.No, "the Identity header does not follow the grammar of RFC 8224, section 4"},
	ReasonDuplicateParam: {badIdentity, ringfence.No, "the Identity header has a parameter twice"},
	ReasonInfoMissing:    {badInfo, ringfence.No, "the Identity header has no info parameter"},
	ReasonInfoSyntax:     {badInfo, ringfence.No, "the info parameter is not a URI in angle brackets"},
	ReasonAlgParam:       {badIdentity, ringfence.No, "the alg parameter is not ES256"},

	ReasonSegments:      {badIdentity, ringfence.No, "the token does not have three parts"},
	ReasonBase64:        {badIdentity, ringfence.No, "a part of the token is not strict base64url"},
	ReasonHeaderJSON:    {badIdentity, ringfence.No, "the token's header is not one unambiguous JSON object"},
	ReasonClaimsJSON:    {badIdentity, ringfence.No, "the token's claims are not one unambiguous JSON object"},
	ReasonAlg:           {badIdentity, ringfence.No, "the token's alg is not ES256"},
	ReasonTyp:           {badIdentity, ringfence.No, "the token's typ is not passport"},
	ReasonPPTMismatch:   {badIdentity, ringfence.No, "the token's ppt differs from the header's ppt parameter"},
	ReasonCrit:          {badIdentity, ringfence.No, "the token has a crit list, which no PASSporT uses"},
	ReasonB64:           {badIdentity, ringfence.No, "the token asks for an unencoded payload"},
	ReasonX5UMissing:    {badIdentity, ringfence.No, "the token has no x5u"},
	ReasonX5UMismatch:   {badInfo, ringfence.No, "the token's x5u differs from the header's info parameter"},
	ReasonSignatureForm: {badIdentity, ringfence.No, "the signature is not two numbers of 32 bytes within the group order"},

	ReasonIat:          {badIdentity, ringfence.No, "the iat claim is missing or not a number of seconds"},
	ReasonOrig:         {badIdentity, ringfence.No, "the orig claim is not exactly one canonical caller"},
	ReasonDest:         {badIdentity, ringfence.No, "the dest claim is not a list of canonical called parties"},
	ReasonAttest:       {badIdentity, ringfence.No, "the attest claim is not A, B or C"},
	ReasonOrigID:       {badIdentity, ringfence.No, "the origid claim is not a UUID"},
	ReasonDiv:          {badIdentity, ringfence.No, "the div claim is not exactly one diverting party"},
	ReasonRCD:          {badIdentity, ringfence.No, "the rcd or crn claim is malformed"},
	ReasonRCDI:         {badIdentity, ringfence.No, "the rcdi claim is malformed"},
	ReasonRCDIntegrity: {badIdentity, ringfence.No, "the rich call data does not match its digests"},

	ReasonStale:       {staleDate, ringfence.No, "the signature is too old"},
	ReasonFuture:      {staleDate, ringfence.No, "the signature was made in the future"},
	ReasonDateStale:   {staleDate, ringfence.No, "the Date header is stale"},
	ReasonDateMissing: {staleDate, ringfence.No, "the request has no Date header"},
	ReasonDateSyntax:  {staleDate, ringfence.No, "the Date header is not a date"},

	ReasonCallerUnknown: {badIdentity, ringfence.No, "the request shows no caller that could be compared with the signature"},
	ReasonCalleeUnknown: {badIdentity, ringfence.No, "the request shows no called party that could be compared with the signature"},
	ReasonOrigMismatch:  {badIdentity, ringfence.No, "the signed caller is not the caller shown"},
	ReasonDestMismatch:  {badIdentity, ringfence.No, "the signature was made for another called number"},
	ReasonDivBroken:     {badIdentity, ringfence.No, "the diversions do not lead from the number first called to this one"},

	ReasonX5UScheme:    {badInfo, ringfence.No, "the certificate's address is not https"},
	ReasonX5UForm:      {badInfo, ringfence.No, "the certificate's address is not a usable URL"},
	ReasonX5UPort:      {badInfo, ringfence.No, "the certificate's address uses a port other than 443 or 8443"},
	ReasonX5UUserinfo:  {badInfo, ringfence.No, "the certificate's address carries a user name"},
	ReasonX5UQuery:     {badInfo, ringfence.No, "the certificate's address has a query"},
	ReasonX5UFragment:  {badInfo, ringfence.No, "the certificate's address has a fragment"},
	ReasonForbidden:    {badInfo, ringfence.No, "the certificate's host has an address that must not be reached"},
	ReasonFetchName:    {badInfo, ringfence.Unknown, "the certificate's host name was not found"},
	ReasonFetchConnect: {badInfo, ringfence.Unknown, "the certificate's server could not be reached"},
	ReasonFetchTLS:     {badInfo, ringfence.Unknown, "the certificate's server has no valid TLS certificate"},
	ReasonFetchTimeout: {badInfo, ringfence.Unknown, "the certificate's server did not answer in time"},
	ReasonFetchStatus:  {badInfo, ringfence.Unknown, "the certificate's server did not answer 200"},
	ReasonRedirect:     {badInfo, ringfence.Unknown, "the certificate's server answered with a redirect, which is not followed"},
	ReasonFetchSize:    {badInfo, ringfence.No, "the certificate's server sent more than is accepted"},
	ReasonFetchCoding:  {badInfo, ringfence.No, "the certificate's server sent a coded body"},
	ReasonFetchBusy:    {badInfo, ringfence.Unknown, "too many certificates are being fetched at the moment"},
	ReasonFetchOff:     {badInfo, ringfence.Unknown, "the certificate is not at hand and none may be fetched"},
	ReasonFetchFailed:  {badInfo, ringfence.Unknown, "the certificate could not be fetched"},
	ReasonBundleEmpty:  {badInfo, ringfence.No, "the certificate's server sent no certificate"},
	ReasonBundleSyntax: {badInfo, ringfence.No, "the certificate's server sent something that is not certificates"},
	ReasonBundleMany:   {badInfo, ringfence.No, "the certificate's server sent too many certificates"},

	ReasonUntrusted:      {unsupported, ringfence.No, "the certificate does not lead to a trusted authority"},
	ReasonNoRoots:        {unsupported, ringfence.Unknown, "no trusted authority is configured"},
	ReasonExpired:        {unsupported, ringfence.No, "the certificate has expired"},
	ReasonNotYetValid:    {unsupported, ringfence.No, "the certificate is not valid yet"},
	ReasonLeafKey:        {unsupported, ringfence.No, "the certificate's key is not P-256"},
	ReasonLeafUsage:      {unsupported, ringfence.No, "the certificate's key may not make signatures"},
	ReasonLeafCA:         {unsupported, ringfence.No, "the certificate is an authority's, not a signer's"},
	ReasonLeafEKU:        {unsupported, ringfence.No, "the certificate was issued for another purpose"},
	ReasonCritical:       {unsupported, ringfence.No, "the certificate has a critical extension that is not known here"},
	ReasonNoTNAuthList:   {unsupported, ringfence.No, "the certificate does not say which numbers it may sign for"},
	ReasonTNAuthList:     {unsupported, ringfence.No, "the certificate's list of numbers is malformed"},
	ReasonScope:          {unsupported, ringfence.No, "the certificate may not sign for this number"},
	ReasonDelegateScope:  {unsupported, ringfence.No, "the certificate claims more numbers than its issuer has"},
	ReasonConstraintForm: {unsupported, ringfence.No, "the certificate's claim constraints are malformed"},
	ReasonMustInclude:    {unsupported, ringfence.No, "the certificate demands a claim that is missing"},
	ReasonPermitted:      {unsupported, ringfence.No, "the certificate does not permit the value of a claim"},
	ReasonMustExclude:    {unsupported, ringfence.No, "the certificate forbids a claim that is present"},
	ReasonRevoked:        {unsupported, ringfence.No, "the certificate has been revoked"},
	ReasonCRLMissing:     {unsupported, ringfence.Unknown, "no revocation list covers the certificate"},
	ReasonCRLStale:       {unsupported, ringfence.Unknown, "the revocation list is out of date"},
	ReasonCRLSignature:   {unsupported, ringfence.Unknown, "the revocation list is not signed by its issuer"},
	ReasonCRLForm:        {unsupported, ringfence.Unknown, "the revocation list is malformed"},

	ReasonSignature:    {badIdentity, ringfence.No, "the signature does not match the certificate's key"},
	ReasonReplayed:     {badIdentity, ringfence.No, "this signature was already used for another call"},
	ReasonReplayFailed: {notAvailable, ringfence.Unknown, "it could not be checked whether the signature was used before"},
	ReasonDeadline:     {badInfo, ringfence.Unknown, "the check did not finish in time"},

	ReasonVerstatPassed: {0, ringfence.Yes, "the carrier has checked the signature and says it passed"},
	ReasonVerstatFailed: {badIdentity, ringfence.No, "the carrier has checked the signature and says it failed"},
	ReasonVerstatNone:   {useIdentity, ringfence.Unknown, "the carrier says there was nothing to check"},

	ReasonInternal: {notAvailable, ringfence.Unknown, "the check could not be made"},
}

func (r Reason) row() reasonRow {
	if row, ok := reasons[r]; ok {
		return row
	}
	return reasons[ReasonInternal]
}

// Code is the SIP response code a refusal for this reason carries (RFC 8224,
// section 6.2.2): 403, 428, 436, 437 or 438; 503 when the check could not be
// made; 0 when nothing is wrong.
func (r Reason) Code() int { return r.row().code }

// Tri is what the reason says about the caller's number: No when a check
// failed, Unknown when nothing could be found out.
func (r Reason) Tri() ringfence.Tri { return r.row().tri }

// Sentence is the reason in plain English, without a number or a secret.
func (r Reason) Sentence() string { return r.row().sentence }

// Phrase is the reason phrase of a response code (RFC 8224, section 13.2),
// without leading or trailing space; "" for 0.
func Phrase(code int) string {
	switch code {
	case staleDate:
		return "Stale Date"
	case useIdentity:
		return "Use Identity Header"
	case badInfo:
		return "Bad Identity Info"
	case unsupported:
		return "Unsupported Credential"
	case badIdentity:
		return "Invalid Identity Header"
	case notAvailable:
		return "Service Unavailable"
	default:
		return ""
	}
}

// Refusal is why one thing was refused; nil means it was not.
type Refusal struct {
	Reason Reason
	// Detail says where or what, in a few words. It is bounded and holds at
	// most clipped, quoted text from outside and no full number.
	Detail string
}

// String is the sentence and the detail.
func (r *Refusal) String() string {
	if r == nil {
		return ReasonValid.Sentence()
	}
	if r.Detail == "" {
		return r.Reason.Sentence()
	}
	return r.Reason.Sentence() + ": " + r.Detail
}

func refuse(r Reason, detail string) *Refusal { return &Refusal{r, detail} }
