package main

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/ringfence/ringfence/internal/config"
	"github.com/ringfence/ringfence/web"
)

// configCmd writes and judges configurations.
type configCmd struct {
	Init  configInitCmd  `cmd:"" help:"Write a commented starting configuration."`
	Check configCheckCmd `cmd:"" help:"Judge a configuration without starting."`
}

//go:embed ringfence.yaml
var startingConfig string

// configInitCmd writes a new file and never over an old one.
type configInitCmd struct {
	Out     string `arg:"" default:"ringfence.yaml" help:"File to write; - for standard output."`
	Profile string `help:"Beside it, write a folder of scripts in which other proofs count, and name it in the file: no-pstn." placeholder:"NAME"`
}

// Run writes.
func (c *configInitCmd) Run() error {
	if c.Out == "-" && c.Profile == "" {
		fmt.Print(startingConfig)
		return nil
	}
	text, err := c.withProfile(startingConfig)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(c.Out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return &exitError{code: 1, text: c.Out + " is there already: name another file, or move it away"}
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// configCheckCmd prints everything that is wrong, and what would be unsafe.
type configCheckCmd struct {
	configFlag
}

// Run judges. Exit 0: it can be served; 1: the scripts do not fit; 2: the file
// is wrong.
func (c *configCheckCmd) Run() error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	if _, err := staffSSO(cfg); err != nil {
		return &exitError{code: 2, text: err.Error()}
	}
	base, err := loadBundle(cfg, nil)
	if err != nil {
		return err
	}
	for _, t := range tenants(cfg) {
		if err := hasLines(cfg, t, base); err != nil {
			return err
		}
	}
	if len(cfg.Verify.Prefixes) == 0 {
		return &exitError{code: 2, text: "verify.prefixes is empty, so nobody could be rung back or written to: name the prefixes of your customers' numbers, such as 44"}
	}
	for _, w := range warnings(cfg) {
		fmt.Println("warning: " + w)
	}
	for _, e := range cfg.Executors {
		fmt.Printf("executor %s authenticates as: Bearer default.%s.<its credential>\n", e.Name, web.ConfiguredClientID(e.Name))
	}
	fmt.Println("ok")
	return nil
}

// warnings names what is allowed and yet worth a second look.
func warnings(cfg config.Config) []string {
	var out []string
	add := func(when bool, text string) {
		if when {
			out = append(out, text)
		}
	}
	add(cfg.Ledger.Checkpoints.CopyTo == "", "ledger.checkpoints.copy_to is empty: a rolled-back store would not be noticed")
	add(cfg.STIR.Roots == "", "stirshaken.roots is empty: no caller's signature can be verified")
	add(len(cfg.TTS.Command) == 0 && cfg.TTS.URL == "", "no tts: names and texts without a recording are spelt letter by letter")
	add(cfg.Deliver.Twilio.AccountSID == "" && !cfg.Deliver.Outbox && cfg.Deliver.Webhook.URL == "", "deliver has no carrier of SMS: codes and links to phones cannot be sent")
	add(len(cfg.Executors) == 0, "no executors: releases stay ready and nothing is executed")
	add(cfg.SingleOperator, "single_operator: one person alone may add staff and publish")
	out = append(out, silentListeners(cfg)...)
	add(slices.ContainsFunc(cfg.SIP.Listeners, func(l config.Listener) bool { return l.Plaintext == "allowed" }), "SIP in plain text is allowed off loopback")
	return out
}
