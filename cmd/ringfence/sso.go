package main

import (
	"fmt"

	"github.com/ringfence/ringfence"
	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/web"
)

// staffSSO is the company's sign-on, or nil.
func staffSSO(cfg config.Config) (*web.SSO, error) {
	o := cfg.Web.OIDC
	if !o.On() {
		return nil, nil
	}
	sso := web.SSO{Issuer: o.Issuer, ClientID: o.ClientID, Secret: ringfence.Secret(o.ClientSecret.Reveal())}
	if err := sso.Check(); err != nil {
		return nil, fmt.Errorf("web.oidc: %w", err)
	}
	return &sso, nil
}
