package b2bua

// Held counts what calls hold: everything is zero where none is in progress, and
// no message of one is owed.
func (u *UA) Held() map[string]int {
	open, _ := u.pool.InUse()
	held := map[string]int{"media": open}
	for _, s := range u.sides {
		if s.ln != nil {
			s.ln.mu.Lock()
			held["connections"] += len(s.ln.open) + len(s.ln.count) + s.ln.stranger
			s.ln.mu.Unlock()
		}
	}
	u.intake.mu.Lock()
	held["setups"] = len(u.intake.open)
	u.intake.mu.Unlock()
	u.mu.Lock()
	defer u.mu.Unlock()
	held["active"], held["trunks"], held["dialogs"], held["legs"], held["sources"] = u.slots.active, len(u.slots.trunks), len(u.dialogs), len(u.legs), len(u.streams)
	held["reserved"], held["recording"], held["callers"], held["tenants"] = u.slots.reserved, u.slots.recording, len(u.slots.sources), len(u.slots.tenants)
	return held
}
