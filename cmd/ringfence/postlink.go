package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/verify"
)

// postLink sends the link on which somebody makes a passkey or recovery codes to
// a number or address on file. How many there may be is counted where it is made.
func (a *app) postLink(ctx context.Context, tenant ringfence.TenantID, to ringfence.ContactPoint, link ringfence.Secret) error {
	if !a.verify.verifier.Allowed(to) {
		return errors.New("postlink: the number's prefix is not allowed")
	}
	m := verify.Message{Tenant: tenant, Kind: verify.MessageLink, Channel: verify.ChannelEmail, To: to.Value, Subject: "Your link from " + a.company(tenant)}
	if to.Type == ringfence.ContactMobile {
		m.Channel, m.Subject = verify.ChannelSMS, ""
	}
	m.Text = ringfence.Secret(fmt.Sprintf("%s: make your passkey here within 15 minutes. The page asks for the code that we told you. %s If you did not ask for this, ignore it and call us.", a.company(tenant), string([]byte(link))))
	receipt, err := a.verify.carrier.Deliver(ctx, m)
	if err == nil && receipt.Delivery == verify.DeliveryRefused {
		err = errors.New("postlink: the carrier refused it")
	}
	return err
}
