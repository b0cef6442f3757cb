package verify

import (
	"context"

	"github.com/ringfence/ringfence"
)

// Channel is how a message travels. The empty value is none.
type Channel string

// The channels. A code never travels by e-mail (ASVS 6.3.6).
const (
	ChannelSMS   Channel = "sms"
	ChannelEmail Channel = "email"
	ChannelHook  Channel = "webhook"
)

// MessageKind says what a message carries.
type MessageKind string

// The kinds of messages.
const (
	MessageCode   MessageKind = "code"   // by SMS only
	MessageLink   MessageKind = "link"   // a link that is worth nothing without its carry code
	MessageNotice MessageKind = "notice" // tells; asks for nothing, carries no secret
)

// Message goes to one contact point on file.
type Message struct {
	Tenant  ringfence.TenantID
	Kind    MessageKind
	Channel Channel
	// To is E.164 digits without a plus for ChannelSMS, an address for
	// ChannelEmail. It comes from a contact point, never from a caller.
	To      string
	Subject string // ChannelEmail only; no secret
	// Text holds the code or the link; it is never logged.
	Text ringfence.Secret
	// Ref is our own id of what this is about, for the provider's record and
	// for ours.
	Ref string
}

// Delivery is what a carrier says became of a message.
type Delivery string

// The deliveries. Anything that is not DeliveryRefused counts as sent: an
// ambiguous answer is issued, and no second message leaves without quota.
const (
	DeliveryAccepted  Delivery = "accepted"
	DeliveryAmbiguous Delivery = "ambiguous" // timed out or cut off: may have been sent
	DeliveryRefused   Delivery = "refused"   // certainly not sent
)

// Receipt is a carrier's answer.
type Receipt struct {
	Delivery Delivery
	ID       string // the carrier's own id, validated; empty when unknown
	Detail   string // a word or code of the carrier's; no number, no text of the message
}

// Deliverer carries messages. It keeps a time-out of its own (2 s), never
// retries, and reports doubt as DeliveryAmbiguous rather than as an error: an
// error means that certainly nothing was sent.
type Deliverer interface {
	Deliver(ctx context.Context, m Message) (Receipt, error)
}

// Deliverers chooses a carrier by channel. A missing one refuses.
type Deliverers map[Channel]Deliverer

// Deliver implements Deliverer.
func (d Deliverers) Deliver(ctx context.Context, m Message) (Receipt, error) {
	if m.Kind == MessageCode && m.Channel != ChannelSMS {
		return Receipt{Delivery: DeliveryRefused, Detail: "codes travel by SMS only"}, nil
	}
	carrier := d[m.Channel]
	if carrier == nil {
		return Receipt{Delivery: DeliveryRefused, Detail: "no carrier"}, nil
	}
	return carrier.Deliver(ctx, m)
}
