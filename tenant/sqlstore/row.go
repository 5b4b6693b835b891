package sqlstore

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// row is a tenant as the database keeps it.
type row struct {
	ID           string `db:"id"`
	Slug         string `db:"slug"`
	Name         string `db:"name"`
	ContactName  string `db:"contact_name"`
	ContactEmail string `db:"contact_email"`
	ContactPhone string `db:"contact_phone"`
	Plan         string `db:"plan"`
	Status       string `db:"status"`
	Region       string `db:"region"`
	Parent       string `db:"parent"`
	Settings     []byte `db:"settings"`
	Version      int64  `db:"version"`
	CreatedAt    stamp  `db:"created_at"`
	UpdatedAt    stamp  `db:"updated_at"`
	DeletedAt    stamp  `db:"deleted_at"`
	Domains      string `db:"domains"` // separated by spaces, which none has
}

// columns are those of tenancy_tenants, in the order of values.
var columns = []string{
	"id", "slug", "name", "contact_name", "contact_email", "contact_phone", "plan", "status", "region", "parent",
	"settings", "version", "created_at", "updated_at", "deleted_at",
}

// values returns what columns are set to for t.
func (s *Store) values(t tenant.Tenant) ([]any, error) {
	settings := []byte("{}")
	if len(t.Settings) > 0 {
		var err error
		if settings, err = json.Marshal(t.Settings); err != nil {
			return nil, fmt.Errorf("sqlstore: settings: %w", err)
		}
	}
	return []any{
		string(t.ID), t.Slug, t.Name, t.Contact.Name, t.Contact.Email, t.Contact.Phone, t.Plan, string(t.Status), t.Region,
		string(t.Parent), string(settings), t.Version, s.stamp(t.CreatedAt), s.stamp(t.UpdatedAt), s.stamp(t.DeletedAt),
	}, nil
}

func (r row) tenant() (tenant.Tenant, error) {
	t := tenant.Tenant{
		ID: tenant.ID(r.ID), Slug: r.Slug, Name: r.Name,
		Contact: tenant.Contact{Name: r.ContactName, Email: r.ContactEmail, Phone: r.ContactPhone},
		Plan:    r.Plan, Status: tenant.Status(r.Status), Region: r.Region, Parent: tenant.ID(r.Parent),
		Version: r.Version, CreatedAt: r.CreatedAt.Time, UpdatedAt: r.UpdatedAt.Time, DeletedAt: r.DeletedAt.Time,
	}
	if domains := strings.Fields(r.Domains); len(domains) > 0 {
		slices.Sort(domains)
		t.Domains = domains
	}
	if string(r.Settings) != "{}" {
		if err := json.Unmarshal(r.Settings, &t.Settings); err != nil {
			return tenant.Tenant{}, fmt.Errorf("sqlstore: settings of %s: %w", r.ID, err)
		}
	}
	return t, nil
}

// stamp is a time as either database has it: a time, or microseconds since
// 1970. NULL is the zero time.
type stamp struct {
	time.Time
}

// Scan implements sql.Scanner.
func (s *stamp) Scan(value any) error {
	switch v := value.(type) {
	case nil:
		s.Time = time.Time{}
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
	switch {
	case t.IsZero():
		return nil
	case s.dialect == SQLite:
		return t.UnixMicro()
	default:
		return t.UTC()
	}
}
