package sqlquota

import (
	"encoding/json"
	"time"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/quota/internal/count"
)

var causes = map[string]quota.Cause{
	count.CauseLimit: quota.CauseLimit, count.CauseTooLarge: quota.CauseTooLarge,
	count.CauseBusy: quota.CauseBusy, count.CauseStock: quota.CauseStock,
}

// readAnswer returns the answer that data holds.
func readAnswer(data []byte) (quota.Taken, error) {
	var a count.Answer
	if err := json.Unmarshal(data, &a); err != nil {
		return quota.Taken{}, err
	}
	return takenOf(a), nil
}

// takenOf returns what a says.
func takenOf(a count.Answer) quota.Taken {
	t := quota.Taken{
		OK: a.OK, At: time.Unix(0, a.At).UTC(),
		Refused: a.Refused, Cause: causes[a.Cause], Window: a.Window, RetryAfter: time.Duration(a.Retry),
	}
	for _, g := range a.Granted {
		t.Granted = append(t.Granted, quota.Granted{N: g.N, Left: g.Left, For: time.Duration(g.For)})
	}
	return t
}
