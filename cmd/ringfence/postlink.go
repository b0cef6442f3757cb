package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/web"
)

// postLink sends the link on which somebody makes a passkey or recovery codes to
// a number or address on file, within the same caps as codes.
func (a *app) postLink(ctx context.Context, tenant ringfence.TenantID, to ringfence.ContactPoint, by ringfence.PersonID, link ringfence.Secret) error {
	err := a.store.Update(ctx, tenant, func(tx ledger.Tx) error {
		may, _, retry, err := a.verify.verifier.Post(ctx, tx, verify.Post{Contact: to, By: by})
		switch {
		case err != nil:
			return err
		case !may:
			return errors.New("postlink: the number's prefix is not allowed")
		case !retry.IsZero():
			return web.ErrTooManyMessages
		}
		return nil
	})
	if err != nil {
		return err
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
