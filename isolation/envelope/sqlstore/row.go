package sqlstore

import (
	"fmt"
	"time"

	"github.com/tenancy-go/tenancy/isolation/envelope"
	"github.com/tenancy-go/tenancy/tenant"
)

// row is a data key as the database keeps it.
type row struct {
	Tenant  string `db:"tenant_id"`
	Purpose string `db:"purpose"`
	Version uint32 `db:"version"`
	KeyID   string `db:"key_id"`
	Wrapped []byte `db:"wrapped"`
	Created stamp  `db:"created_at"`
}

const columns = "tenant_id, purpose, version, key_id, wrapped, created_at"

func records(rows []row) []envelope.Record {
	var found []envelope.Record
	for _, r := range rows {
		found = append(found, envelope.Record{
			Tenant: tenant.ID(r.Tenant), Purpose: envelope.Purpose(r.Purpose), Version: r.Version,
			Wrapped: envelope.Wrapped{KeyID: r.KeyID, Blob: r.Wrapped}, Created: r.Created.Time,
		})
	}
	return found
}

// grave is a tombstone as the database keeps it.
type grave struct {
	Tenant string `db:"tenant_id"`
	At     stamp  `db:"shredded_at"`
	Reason string `db:"reason"`
}

func (g grave) tombstone() envelope.Tombstone {
	return envelope.Tombstone{Tenant: tenant.ID(g.Tenant), At: g.At.Time, Reason: g.Reason}
}

// stamp is a time as either database has it: a time, or microseconds since 1970.
type stamp struct {
	time.Time
}

// Scan implements sql.Scanner.
func (s *stamp) Scan(value any) error {
	switch v := value.(type) {
	case time.Time:
		s.Time = v.UTC()
	case int64:
		s.Time = time.UnixMicro(v).UTC()
	default:
		return fmt.Errorf("sqlstore: cannot read %T as a time", value)
	}
	return nil
}

// stamp returns t as the database takes it.
func (s *Store) stamp(t time.Time) any {
	if s.dialect == SQLite {
		return t.UnixMicro()
	}
	return t.UTC().Truncate(time.Microsecond)
}
