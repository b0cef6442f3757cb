package main

import (
	"context"

	"github.com/ringfence/ringfence/web"
)

// attack is one thing that an attacker tries.
type attack struct {
	web.Drill
	// victim says what its subject holds: of pin, totp and passkey; "number" for
	// one with a number on file only, "" for no subject.
	victim string
	// last says that it leaves the world so that others could not be played after
	// it.
	last bool
	// play carries it out alone. Attacks that are one story share a stage, which
	// tells the verdict of each; it is played once.
	play      func(context.Context, *drillWorld) (verdict, error)
	stageName string
	stage     func(ctx context.Context, w *drillWorld, call *drillCall, tell func(name string, v verdict)) error
}

// of is the name under which the subject of the attack stands.
func (a attack) of() string {
	if a.stageName != "" {
		return a.stageName
	}
	return a.Name
}

// caller is an attack by telephone on a line of the operator's own.
func caller(name, layer, does, victim string, play func(context.Context, *drillWorld) (verdict, error)) attack {
	return attack{Drill: web.Drill{Name: name, Layer: layer, Does: does}, victim: victim, play: play}
}

// door is an attack by HTTP.
func door(name, layer, does string, play func(context.Context, *drillWorld) (verdict, error)) attack {
	return attack{Drill: web.Drill{Name: name, Layer: layer, Does: does}, play: play}
}

// afterAll is an attack that is played when all others are over.
func afterAll(a attack) attack {
	a.last = true
	return a
}

// scene is a part of a stage.
func scene(stageName, victim string, stage func(context.Context, *drillWorld, *drillCall, func(string, verdict)) error, name, layer, does string) attack {
	return attack{Drill: web.Drill{Name: name, Layer: layer, Does: does}, victim: victim, stageName: stageName, stage: stage}
}

// attacks are all there are, in the order in which they are reported.
var attacks = []attack{
	caller("spoofed-unsigned", "stirshaken", "shows the victim's number without a signature, knows the PIN, and asks for the balance", "pin", spoofedUnsigned),
	caller("spoofed-gateway", "stirshaken", "shows the victim's number over a gateway that vouches for nothing (attestation C)", "pin", spoofedGateway),
	caller("spoofed-other-number", "stirshaken", "shows the victim's number with a full signature for the attacker's own", "pin", spoofedOther),
	caller("signature-other-call", "stirshaken", "shows the victim's number with the signature of a call to somebody else", "pin", spoofedElsewhere),
	caller("signature-replayed", "stirshaken", "sends the signature of the victim's own call a second time", "pin", spoofedReplayed),
	caller("guessed-pin", "verify", "guesses the PIN over two calls until it is locked, then keys the right one", "pin", guessedPIN),
	caller("unknown-customer", "verify", "asks with a customer number of nobody, to hear from the answer who is a customer", "pin", unknownCustomer),

	scene("agent", "number", agentStage, "agent-releases", "gate", "talks the agent into releasing each action of the policy without any proof"),
	scene("agent", "number", agentStage, "agent-fetches-permit", "gate", "talks the agent into fetching the permit"),
	scene("agent", "number", agentStage, "agent-approves-own", "gate", "talks the agent into approving what the agent opened"),
	scene("agent", "number", agentStage, "agent-chooses-number", "web", "talks the agent into having another number rung than the one on file"),
	scene("agent", "number", agentStage, "agent-other-call", "web", "talks another agent into acting on a call that is not theirs"),
	scene("agent", "number", agentStage, "executor-without-release", "gate", "has the executor ask for the permit of what nobody released"),
	scene("agent", "number", agentStage, "digest-swapped", "gate", "asks for the release of one action under the digest of another"),

	scene("agent", "number", agentStage, "payee-claimed", "gate", "says in the request that the payee is known, the class low and everything proved"),
	scene("agent", "number", agentStage, "other-tenant", "web", "is an executor of another tenant who knows the release"),

	scene("link", "passkey", linkStage, "link-scanned", "verify", "a mail scanner opens the victim's link before the victim does"),
	scene("link", "passkey", linkStage, "link-without-code", "verify", "opens the victim's link and guesses the code that was spoken on the call"),
	scene("refused", "passkey", refusedStage, "link-refused", "gate", "has the victim sent a link, who presses “I did not ask for this”"),

	scene("diverted", "number", divertedStage, "callback-diverted", "verify", "has the victim's number divert calls to the attacker"),
	scene("voicemail", "number", voicemailStage, "callback-voicemail", "verify", "has the call-back answered by a machine that keys 1 all the time"),
	scene("star", "number", starStage, "callback-star", "gate", "has the victim rung, who presses star"),

	scene("code", "pin totp", codeStage, "guessed-code", "verify", "knows the PIN and guesses the code of the victim's app"),
	scene("relay", "pin totp", relayStage, "code-relayed", "gate", "has the victim read out PIN and code, and keys both"),
	scene("relay", "pin totp", relayStage, "code-reused", "verify", "keys the victim's code a second time, for another action"),
	scene("duress", "pin duress totp passkey", duressStage, "duress", "gate", "forces the victim, who keys the PIN for that and then approves everything"),

	scene("permit", "pin totp passkey", permitStage, "action-changed", "gate", "has the agent change the action after the victim approved it"),
	scene("permit", "pin totp passkey", permitStage, "permit-raced", "gate", "presents one permit twenty times at once"),
	scene("permit", "pin totp passkey", permitStage, "permit-replayed", "gate", "presents a used permit again, and asks for a second one"),
	scene("permit", "pin totp passkey", permitStage, "permit-stolen", "web", "presents the permit with the executor's credential but without its key"),
	scene("permit", "pin totp passkey", permitStage, "permit-rejected-late", "gate", "stops the action after it was redeemed, to have it done twice"),
	scene("reject", "pin totp passkey", rejectStage, "permit-rejected-raced", "gate", "redeems in the moment in which the person says no"),

	door("permit-forged", "gate", "signs a permit with a key of their own", permitForged),
	door("no-credential", "web", "asks the API without and with guessed credentials", noCredential),
	door("staff-invitation-twice", "web", "uses the invitation of a member of staff a second time", invitationTwice),
	door("staff-invitation-own", "gate", "an administrator makes the passkey of a new colleague on the invitation that they sent, to be two persons", invitationOwn),
	door("staff-foreign-passkey", "web", "signs in to the console with a passkey of their own", foreignPasskey),
	door("carrier-forged", "web", "reports in the carrier's name that a message arrived and digits were keyed", carrierForged),
	door("link-guessed", "verify", "guesses links of the callers' page", guessedLink),
	afterAll(caller("pin-sprayed", "verify", "tries one PIN with many customer numbers, one guess each, and then knows the PIN of one", "pin", pinSprayed)),

	door("import-alone", "gate", "one administrator alone puts a new number on file", importAlone),
}
