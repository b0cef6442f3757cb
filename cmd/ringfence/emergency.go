package main

import (
	"context"
	"fmt"
	"time"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/b2bua"
	"github.com/ringfence/ringfence/ledger"
	"github.com/ringfence/ringfence/verify"
)

// inbound takes every call that comes in.
func (a *app) inbound(ctx context.Context, leg *b2bua.Leg) {
	info := leg.Info()
	line, known := a.routing.Line(info.Trunk, info.Called)
	switch {
	case info.Emergency:
		a.emergency(ctx, leg)
	case !known && a.routing.agents(info.Trunk):
		_ = leg.Refuse(ctx, 403, "Forbidden") // phones behind us place no other calls
	case known && a.isCheckLine(line.Name):
		a.mutualCheck(ctx, leg, line)
	default:
		leg.Stay()
		a.runner.Inbound(ctx, leg)
	}
}

// emergency connects one of our own phones with the emergency trunk: at once,
// with where it says it is, unfiltered, unrecorded. Whoever is named hears of it.
func (a *app) emergency(ctx context.Context, leg *b2bua.Leg) {
	info := leg.Info()
	a.log.Warn("emergency call", "number", info.Called, "phone", info.Source.Addr().String())
	a.work.Go(func() { a.tellEmergency(info) })
	e := a.cfg.SIP.Emergency
	out, err := a.ua.Place(ctx, ringfence.Placement{Trunk: e.Trunk, To: digitsOf(info.Called), From: a.callbackNumber(), Ring: 3 * time.Minute,
		Location: info.Location, Purpose: "emergency"})
	if err != nil {
		a.log.Error("emergency call not placed", "err", err)
		_ = leg.Refuse(ctx, 503, "Service Unavailable")
		return
	}
	defer out.Hangup(ringfence.EndHangup)
	a.work.Go(func() { a.noteEmergency(leg.ID(), out.ID()) }) // a store that hangs delays no call
	bridgeEmergency(ctx, leg, out)
}

// bridgeEmergency passes on what the emergency trunk says until one side ends.
func bridgeEmergency(ctx context.Context, leg, out *b2bua.Leg) {
	join := func() { _ = leg.Join(out.ID()) }
	for {
		select {
		case <-ctx.Done():
			return
		case ev := <-out.Events():
			switch ev.Kind {
			case ringfence.LegRinging:
				if ev.Code == 183 && leg.Progress(ctx) == nil {
					join()
				} else {
					_ = leg.Ring(ctx)
				}
			case ringfence.LegAnswered:
				if leg.Answer(ctx) != nil {
					return
				}
				join()
			case ringfence.LegEnded:
				if ev.Code >= 400 {
					_ = leg.Refuse(ctx, ev.Code, "")
				}
				return
			}
		}
	}
}

// callbackNumber is what an emergency service can ring back.
func (a *app) callbackNumber() string {
	for _, t := range a.cfg.SIP.Trunks {
		if t.Name == a.cfg.SIP.Emergency.Trunk {
			return t.From
		}
	}
	return ""
}

// noteEmergency writes both legs into the audit record. A record that fails stops
// no emergency call.
func (a *app) noteEmergency(phone, trunk ringfence.LegID) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err := a.store.Update(ctx, ringfence.DefaultTenant, func(tx ledger.Tx) error {
		_, err := tx.Append(ctx, ledger.Entry{Event: "leg.placed", Leg: trunk, Data: map[string]string{"purpose": "emergency", "from": string(phone)}})
		if err != nil {
			return err
		}
		_, err = tx.Append(ctx, ledger.Entry{Event: "alert.raised", Leg: phone, Data: map[string]string{"says": "an emergency call was made"}})
		return err
	})
	if err != nil {
		a.log.Error("emergency call not in the audit record", "err", err)
	}
}

// tellEmergency writes to the people who are to know (Kari's Law: within
// seconds), with the phone, the number to ring back and whether a location went
// with the call.
func (a *app) tellEmergency(info ringfence.LegInfo) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	where := "The phone sent no location."
	if info.Location != nil {
		where = "The phone's location went with the call."
	}
	text := fmt.Sprintf("At %s a phone of yours (%s, at %s) called %s. The number to ring back is %s. %s\n", info.ReceivedAt.UTC().Format(time.RFC1123),
		phoneOf(info.From), info.Source.Addr(), digitsOf(info.Called), a.callbackNumber(), where)
	for _, to := range a.cfg.SIP.Emergency.Notify {
		r, err := a.verify.carrier.Deliver(ctx, verify.Message{Tenant: ringfence.DefaultTenant, Kind: verify.MessageNotice, Channel: verify.ChannelEmail, To: to,
			Subject: "Emergency call", Text: ringfence.Secret(text), Ref: string(info.ID)})
		if err != nil || r.Delivery == verify.DeliveryRefused {
			a.log.Error("nobody told of an emergency call", "to", to, "err", err, "detail", r.Detail)
		}
	}
}

// phoneOf is the user part of our own phone's address, without what could be a
// line of a message.
func phoneOf(from string) string {
	out := []rune{}
	for _, r := range from {
		if r >= 0x20 && r != 0x7f && len(out) < 80 {
			out = append(out, r)
		}
	}
	return string(out)
}
