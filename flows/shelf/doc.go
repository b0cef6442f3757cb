// Package shelf keeps the bundles of flows and policy that persons have let go
// live, and hands out the one in force.
//
//	proposed ──second signature──▶ in force               not looser: at once
//	                          └──▶ waiting ──24 h──▶ in force      looser
//	                          └──▶ ramp ──100 %──▶ in force   a share of calls
//	in force ──▶ kept: calls and releases that began with it find it by hash
//
// Words: a bundle is *proposed* with one signature, *in force* when new calls
// get it, *waiting* while its time has not come, *ramped* while it gets a share
// of the calls; the *base* is what the process was started with (the shipped
// scripts or the configured folder), and is in force while nothing was ever
// published.
//
// It refuses: a bundle without two persons' signatures over its hash; one that
// lets go of more without one of them having role risk; bytes that are not
// what their name says; a bundle that this version cannot load and prove anew.
// What it cannot read never replaces what runs. It decides nothing about a
// call or a release.
package shelf
