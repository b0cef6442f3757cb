package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/gate"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify"
	"github.com/ringfence/ringfence/verify/approve"
	"github.com/ringfence/ringfence/verify/callback"
	"github.com/ringfence/ringfence/verify/deliver/outbox"
	"github.com/ringfence/ringfence/verify/deliver/smtp"
	"github.com/ringfence/ringfence/verify/deliver/twilio"
	"github.com/ringfence/ringfence/verify/deliver/webhook"
	"github.com/ringfence/ringfence/verify/otp"
	"github.com/ringfence/ringfence/verify/passkey"
	"github.com/ringfence/ringfence/verify/pin"
	"github.com/ringfence/ringfence/verify/recovery"
)

// methods are the ways of proving something, joined.
type methods struct {
	verifier *verify.Verifier
	desk     *callback.Desk
	pin      *pin.Method
	recovery *recovery.Desk
	page     *passkey.Page
	staff    *passkey.Staff
	staffRP  passkey.RP
	callerRP passkey.RP
	store    ledger.Store
	carrier  verify.Deliverer
	lookup   *twilio.Client // nil = nobody to ask about numbers
}

func newMethods(cfg config.Config, keys keyring, store ledger.Store, log *slog.Logger) (methods, error) {
	m := methods{store: store}
	firm := cfg.Verify.Firm
	if firm == "" {
		firm = cfg.Tenants[0].Name
	}
	m.staffRP = passkey.RP{ID: hostOf(cfg.Web.Staff.URL), Origins: []string{origin(cfg.Web.Staff.URL)}, Name: firm}
	m.callerRP = passkey.RP{ID: hostOf(cfg.Web.Public.URL), Origins: []string{origin(cfg.Web.Public.URL)}, Name: firm}
	if cfg.Verify.RPID != "" {
		m.callerRP.ID = cfg.Verify.RPID
	}
	carriers, err := m.carriers(cfg)
	if err != nil {
		return m, err
	}
	m.carrier = carriers
	var all []verify.Method
	add := func(made verify.Method, failed error) {
		err = errors.Join(err, failed)
		all = append(all, made)
	}
	var failed error
	m.pin, failed = pin.New(keys.pepper, pin.Cost{})
	add(m.pin, failed)
	sms, failed := otp.NewSMS(keys.pepper, firm)
	add(sms, failed)
	add(otp.TOTP{}, nil)
	link, failed := passkey.New(passkey.Config{Pepper: keys.pepper, Firm: firm, RP: m.callerRP, Link: origin(cfg.Web.Public.URL) + "/l"})
	add(link, failed)
	back, failed := callback.New(keys.pepper)
	add(back, failed)
	confirm, failed := callback.NewConfirm(keys.pepper)
	add(confirm, failed)
	if err != nil {
		return m, err
	}
	if m.verifier, err = verify.New(verify.Config{Store: store, Pepper: keys.pepper, Deliver: carriers, Prefixes: prefixes(cfg), Limits: limits(cfg), Firm: firm, Log: log}, all...); err != nil {
		return m, err
	}
	codes, err := recovery.New(keys.pepper)
	if err != nil {
		return m, err
	}
	if m.recovery, err = recovery.NewDesk(m.verifier, codes); err != nil {
		return m, err
	}
	m.desk = callback.NewDesk(m.verifier, back, confirm)
	m.page = passkey.NewPage(m.verifier, link)
	m.staff, err = passkey.NewStaff(store, m.staffRP)
	return m, err
}

// prefixes are the numbers that may be rung or written to.
func prefixes(cfg config.Config) []verify.Prefix {
	var out []verify.Prefix
	for _, p := range cfg.Verify.Prefixes {
		out = append(out, verify.Prefix{Digits: digitsOf(p), PerHour: cfg.Verify.Limits.Cap(digitsOf(p))})
	}
	return out
}

// limits are the caps on what leaves the house.
func limits(cfg config.Config) verify.Limits {
	l := cfg.Verify.Limits
	return verify.Limits{PerContactHour: l.ContactHour, PerContactDay: l.ContactDay, PerAgentMinute: l.AgentMinute, TenantHour: l.TenantHour,
		CallsHour: l.CallsHour, CallsDay: l.CallsDay, Spray: l.Spray}
}

// carriers are what messages travel by; the lab's outbox wins where it is on.
func (m *methods) carriers(cfg config.Config) (verify.Deliverers, error) {
	out := verify.Deliverers{}
	if t := cfg.Deliver.Twilio; t.AccountSID != "" {
		from := t.From
		if t.Service != "" {
			from = t.Service
		}
		c, err := twilio.New(twilio.Config{Account: t.AccountSID, Key: t.AccountSID, Secret: ringfence.Secret(t.AuthToken.Reveal()), From: from, Base: t.BaseURL})
		if err != nil {
			return nil, fmt.Errorf("deliver.twilio: %w", err)
		}
		out[verify.ChannelSMS], m.lookup = c, c
	}
	if s := cfg.Deliver.SMTP; s.Addr != "" {
		c, err := smtp.New(smtp.Config{Server: s.Addr, From: s.From, User: s.Username, Password: ringfence.Secret(s.Password.Reveal())})
		if err != nil {
			return nil, fmt.Errorf("deliver.smtp: %w", err)
		}
		out[verify.ChannelEmail] = c
	}
	if w := cfg.Deliver.Webhook; w.URL != "" {
		c, err := webhook.New(webhook.Config{URL: w.URL, Secret: ringfence.Secret(w.Secret.Reveal())})
		if err != nil {
			return nil, fmt.Errorf("deliver.webhook: %w", err)
		}
		out[verify.ChannelHook] = c
		for _, channel := range []verify.Channel{verify.ChannelSMS, verify.ChannelEmail} {
			if out[channel] == nil {
				out[channel] = c
			}
		}
	}
	if cfg.Deliver.Outbox {
		listeners := []string{cfg.Web.Staff.Listen, cfg.Web.Public.Listen}
		for _, l := range cfg.SIP.Listeners {
			listeners = append(listeners, l.Addr)
		}
		c, err := outbox.New(filepath.Join(cfg.Data, "outbox"), listeners)
		if err != nil {
			return nil, fmt.Errorf("deliver.outbox: %w", err)
		}
		out[verify.ChannelSMS], out[verify.ChannelEmail] = c, c
	}
	return out, nil
}

// approvals hands a colleague's signed decision to the gate.
type approvals struct{ g *gate.Gate }

// Approval implements approve.Approvals.
func (a approvals) Approval(ctx context.Context, d approve.Decision) (bool, error) {
	if !d.Agrees {
		_, err := a.g.RefuseApproval(ctx, d.Tenant, d.Release, d.Person)
		return refusalOrError(err)
	}
	assertion, err := json.Marshal(d.Signature)
	if err != nil {
		return false, err
	}
	_, _, err = a.g.Approve(ctx, d.Tenant, gate.ApprovalInput{Release: d.Release, Person: d.Person, Authenticator: d.Signature.Authenticator,
		Digest: d.Digest, Policy: d.PolicyHash, EvidenceHash: d.EvidenceHash, Assertion: assertion})
	return refusalOrError(err)
}

// refusalOrError tells what the gate refused from what it could not find out.
func refusalOrError(err error) (bool, error) {
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, gate.ErrForbidden), errors.Is(err, gate.ErrConflict), errors.Is(err, gate.ErrHeld), errors.Is(err, gate.ErrExpired), errors.Is(err, gate.ErrNotFound):
		return false, nil
	default:
		return false, err
	}
}
