package fairshare

import "container/heap"

// order is a heap of accounts, each of which knows its index.
type order struct {
	accounts []*account
	before   func(a, b *account) bool
}

// byTurn orders by rank, then by who had the least by weight, then by who waits the
// longest.
func byTurn(a, b *account) bool {
	if rankA, rankB := a.rank(), b.rank(); rankA != rankB {
		return rankA < rankB
	}
	if keyA, keyB := a.key(), b.key(); keyA != keyB {
		return keyA < keyB
	}
	return a.waiting.first.turn < b.waiting.first.turn
}

func byKey(a, b *account) bool { return a.key() < b.key() }

func (o *order) Len() int           { return len(o.accounts) }
func (o *order) Less(i, j int) bool { return o.before(o.accounts[i], o.accounts[j]) }

func (o *order) Swap(i, j int) {
	o.accounts[i], o.accounts[j] = o.accounts[j], o.accounts[i]
	o.accounts[i].index, o.accounts[j].index = i, j
}

// Push is heap.Push's.
func (o *order) Push(x any) {
	a := x.(*account)
	a.index = len(o.accounts)
	o.accounts = append(o.accounts, a)
}

// Pop is heap.Remove's.
func (o *order) Pop() any {
	last := len(o.accounts) - 1
	a := o.accounts[last]
	o.accounts[last] = nil
	o.accounts = o.accounts[:last]
	return a
}

func (o *order) add(a *account)    { heap.Push(o, a) }
func (o *order) remove(a *account) { heap.Remove(o, a.index) }
func (o *order) fix(a *account)    { heap.Fix(o, a.index) }

// first returns the account whose turn it is, or nil.
func (o *order) first() *account {
	if len(o.accounts) == 0 {
		return nil
	}
	return o.accounts[0]
}
