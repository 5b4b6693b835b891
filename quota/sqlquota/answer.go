package sqlquota

import (
	"encoding/json"
	"time"

	"github.com/tenancy-go/tenancy/quota"
)

// answer is what a request was answered, and what is remembered of it.
type answer struct {
	OK      bool      `json:"ok"`
	At      int64     `json:"at"`
	Granted []granted `json:"granted,omitempty"`
	refusal
	Refused int `json:"refused,omitempty"`
}

type granted struct {
	N    int64 `json:"n"`
	Left int64 `json:"left"`
	For  int64 `json:"for"`
}

// refusal says why something is refused; its zero value, that it is not.
type refusal struct {
	Cause  string `json:"cause,omitempty"`
	Window int    `json:"window,omitempty"`
	Retry  int64  `json:"retry,omitempty"`
}

const (
	causeLimit    = "limit"
	causeTooLarge = "too large"
	causeBusy     = "busy"
	causeStock    = "stock"
)

var causes = map[string]quota.Cause{
	causeLimit: quota.CauseLimit, causeTooLarge: quota.CauseTooLarge, causeBusy: quota.CauseBusy, causeStock: quota.CauseStock,
}

// readAnswer returns the answer that data holds.
func readAnswer(data []byte) (quota.Taken, error) {
	var a answer
	if err := json.Unmarshal(data, &a); err != nil {
		return quota.Taken{}, err
	}
	return a.taken(), nil
}

func (a answer) taken() quota.Taken {
	t := quota.Taken{
		OK: a.OK, At: time.Unix(0, a.At).UTC(),
		Refused: a.Refused, Cause: causes[a.Cause], Window: a.Window, RetryAfter: time.Duration(a.Retry),
	}
	for _, g := range a.Granted {
		t.Granted = append(t.Granted, quota.Granted{N: g.N, Left: g.Left, For: time.Duration(g.For)})
	}
	return t
}
