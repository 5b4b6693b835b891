package tenant

import (
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits of a record. They bound what a sign-up form can put into the store.
const (
	maxNameLen     = 200
	maxFieldLen    = 254 // an e-mail address (RFC 5321) is the longest field
	maxDomains     = 100
	maxSettings    = 1000
	maxSettingsLen = 64 << 10
)

// Tenant is one customer of the platform: an organisation, or a department or
// reseller's customer under a parent.
type Tenant struct {
	ID        ID                `json:"id"`   // required; see NewID
	Slug      string            `json:"slug"` // required; label under the platform's domain: acme in acme.example.com
	Name      string            `json:"name"` // required; for people
	Contact   Contact           `json:"contact"`
	Plan      string            `json:"plan,omitempty"`    // name of a plan, such as "pro"; what it means is quota's affair
	Status    Status            `json:"status"`            // StatusProvisioning unless given to Create; only StatusActive lets all requests in
	Region    string            `json:"region,omitempty"`  // where its data must stay, such as "eu"
	Parent    ID                `json:"parent,omitempty"`  // the tenant it belongs to; empty at the top
	Domains   []string          `json:"domains,omitempty"` // its own host names, lower case, ASCII; sorted by the store
	Settings  map[string]string `json:"settings,omitempty"`
	Version   int64             `json:"version"` // grows by one with each update; 1 after Create
	CreatedAt time.Time         `json:"created_at"`
	UpdatedAt time.Time         `json:"updated_at"`
	DeletedAt time.Time         `json:"deleted_at,omitzero"` // when it became a tombstone
}

// Contact is whom to write to about a tenant.
type Contact struct {
	Name  string `json:"name,omitempty"`
	Email string `json:"email,omitempty"`
	Phone string `json:"phone,omitempty"`
}

// Clone returns a copy of t that shares nothing with it.
func (t Tenant) Clone() Tenant {
	t.Domains = slices.Clone(t.Domains)
	t.Settings = maps.Clone(t.Settings)
	return t
}

// Validate checks what a host may set. Errors are a [FieldError], or wrap
// [ErrInvalidID].
func (t Tenant) Validate() error {
	if err := t.ID.Validate(); err != nil {
		return err
	}
	if err := ValidateSlug(t.Slug); err != nil {
		return err
	}
	if t.Parent != "" {
		if err := t.Parent.Validate(); err != nil {
			return err
		}
		if t.Parent == t.ID {
			return invalid("Parent", "a tenant cannot be its own parent")
		}
	}
	if !t.Status.Valid() {
		return invalid("Status", "unknown status %s", printable(string(t.Status)))
	}
	if err := t.validateTexts(); err != nil {
		return err
	}
	if err := t.validateDomains(); err != nil {
		return err
	}
	return t.validateSettings()
}

func (t Tenant) validateTexts() error {
	if t.Name == "" {
		return invalid("Name", "want a name for people to read")
	}
	texts := []struct {
		field, value string
		max          int
	}{
		{"Name", t.Name, maxNameLen},
		{"Contact.Name", t.Contact.Name, maxNameLen},
		{"Contact.Email", t.Contact.Email, maxFieldLen},
		{"Contact.Phone", t.Contact.Phone, maxFieldLen},
		{"Plan", t.Plan, maxFieldLen},
		{"Region", t.Region, maxFieldLen},
	}
	for _, text := range texts {
		if len(text.value) > text.max {
			return invalid(text.field, "want at most %d bytes, got %d", text.max, len(text.value))
		}
		if !isText(text.value) {
			return invalid(text.field, "want UTF-8 text without control characters")
		}
	}
	return nil
}

func (t Tenant) validateDomains() error {
	if len(t.Domains) > maxDomains {
		return invalid("Domains", "want at most %d, got %d", maxDomains, len(t.Domains))
	}
	seen := make(map[string]bool, len(t.Domains))
	for _, domain := range t.Domains {
		host, err := NormalizeHost(domain)
		if err != nil || host != domain || !strings.Contains(host, ".") {
			return invalid("Domains", "%s: want a host name as NormalizeHost returns it, with a dot", printable(domain))
		}
		if seen[domain] {
			return invalid("Domains", "%s is listed twice", domain)
		}
		seen[domain] = true
	}
	return nil
}

func (t Tenant) validateSettings() error {
	if len(t.Settings) > maxSettings {
		return invalid("Settings", "want at most %d, got %d", maxSettings, len(t.Settings))
	}
	size := 0
	for key, value := range t.Settings {
		if key == "" || !isText(key) || !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
			return invalid("Settings", "%s: want a key without control characters, and UTF-8", printable(key))
		}
		size += len(key) + len(value)
	}
	if size > maxSettingsLen {
		return invalid("Settings", "want at most %d bytes in all, got %d", maxSettingsLen, size)
	}
	return nil
}

func isText(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, unicode.IsControl) < 0
}

// reservedSlugs are labels that a platform needs for itself, or that let a
// tenant pass for the platform.
var reservedSlugs = map[string]bool{
	"admin": true, "administrator": true, "api": true, "app": true, "assets": true, "auth": true,
	"billing": true, "blog": true, "cdn": true, "console": true, "dashboard": true, "dev": true,
	"docs": true, "email": true, "ftp": true, "help": true, "hostmaster": true, "imap": true,
	"internal": true, "localhost": true, "login": true, "mail": true, "ns": true, "ns1": true,
	"ns2": true, "pop": true, "postmaster": true, "root": true, "security": true, "smtp": true,
	"ssl": true, "sso": true, "staging": true, "static": true, "status": true, "support": true,
	"system": true, "test": true, "webmaster": true, "wpad": true, "autoconfig": true,
	"autodiscover": true, "isatap": true, "www": true,
}

// IsReservedSlug reports whether the platform keeps slug for itself: www, api,
// admin and the like.
func IsReservedSlug(slug string) bool { return reservedSlugs[slug] }

// ValidateSlug returns nil if a tenant may have slug: a lower-case DNS label of
// 1 to 63 letters, digits and hyphens that the platform does not keep for
// itself. Labels with hyphens in the third and fourth place belong to IDN
// (RFC 5891) and are refused. The error is a [FieldError].
func ValidateSlug(slug string) error {
	if !isLabel(slug) {
		return invalid("Slug", "%s: want 1 to %d lower-case letters, digits and hyphens, with a letter or digit at both ends",
			printable(slug), maxIDLen)
	}
	if len(slug) >= 4 && slug[2:4] == "--" {
		return invalid("Slug", "%s: hyphens in the third and fourth place are kept for international names", slug)
	}
	if IsReservedSlug(slug) {
		return invalid("Slug", "%s is reserved", slug)
	}
	return nil
}
