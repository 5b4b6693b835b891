package count

// Asked is a charge of a counter.
type Asked struct {
	*Counter
	*Spec
	Charge
}

// Answer is what charges are answered, as stores write it down.
type Answer struct {
	OK      bool      `json:"ok"`
	At      int64     `json:"at"`
	Granted []Granted `json:"granted,omitempty"` // for each charge, if OK
	Refusal
	Refused int `json:"refused,omitempty"` // the number of the charge
}

// TakeAll carries out charges one after the other, all or none.
func TakeAll(charges []Asked, by Holder, now int64) Answer {
	all := Answer{OK: true, At: now}
	marks := make([]mark, len(charges))
	for i, a := range charges {
		marks[i] = mark{a.Arrival, a.Holders[by.Name]}
		granted, refused := a.take(by, now)
		if refused.Cause == "" {
			all.Granted = append(all.Granted, granted)
			continue
		}
		for j := i - 1; j >= 0; j-- { // backwards: a counter may have been charged twice
			charges[j].undo(all.Granted[j].N, marks[j], by.Name)
		}
		return Answer{At: now, Refusal: refused, Refused: i}
	}
	return all
}

func (a *Asked) take(by Holder, now int64) (Granted, Refusal) {
	if a.Kind == Rate {
		return a.count(a.Spec, a.Charge, now)
	}
	return a.hold(a.Spec, a.Charge, by, now)
}

// mark is what was before a charge.
type mark struct {
	arrival int64
	held    [2]int64
}

// undo takes back that n units were granted.
func (a *Asked) undo(n int64, before mark, holder string) {
	if a.Kind == Rate {
		a.Used, a.Arrival = a.Used-n, before.arrival
		return
	}
	a.set(holder, before.held[0], before.held[1])
}
