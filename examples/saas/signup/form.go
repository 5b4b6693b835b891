package signup

import (
	"errors"
	"net/mail"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tenancy-go/tenancy/tenant"
)

// SettingAccent is the tenant's setting that holds its colour: #rrggbb.
const SettingAccent = "accent"

// Form is what a person types to get a workspace.
type Form struct {
	Name   string // of the workspace, for people
	Slug   string // its address: acme in acme.example.com
	Email  string // whom to write to
	Accent string // colour, #rrggbb; empty for the platform's
}

// FormError says what is wrong with a form, field by field, for the person who
// filled it in. The keys are "name", "slug", "email" and "accent".
type FormError struct {
	Fields map[string]string
}

func (e *FormError) Error() string {
	for field, reason := range e.Fields {
		return "signup: " + field + ": " + reason
	}
	return "signup: invalid form"
}

var accentPattern = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)

// ValidAccent reports whether s is a colour as the theme needs it: #rrggbb.
func ValidAccent(s string) bool { return accentPattern.MatchString(s) }

// Normalize returns f without the slips that need no error: space around the
// fields, capitals in the address.
func (f Form) Normalize() Form {
	return Form{
		Name:   strings.Join(strings.Fields(f.Name), " "),
		Slug:   strings.ToLower(strings.TrimSpace(f.Slug)),
		Email:  strings.TrimSpace(f.Email),
		Accent: strings.TrimSpace(f.Accent),
	}
}

// tenant returns the record that f asks for, or a FormError with every fault.
func (f Form) tenant() (tenant.Tenant, error) {
	f = f.Normalize()
	faults := make(map[string]string)
	if reason := NameFault(f.Name); reason != "" {
		faults["name"] = reason
	}
	if reason := slugFault(f.Slug); reason != "" {
		faults["slug"] = reason
	}
	if reason := emailFault(f.Email); reason != "" {
		faults["email"] = reason
	}
	if f.Accent != "" && !ValidAccent(f.Accent) {
		faults["accent"] = "Choose one of the colours."
	}
	if len(faults) > 0 {
		return tenant.Tenant{}, &FormError{Fields: faults}
	}
	t := tenant.Tenant{
		ID:      tenant.NewID(),
		Slug:    f.Slug,
		Name:    f.Name,
		Contact: tenant.Contact{Email: f.Email},
		Plan:    "free",
		Status:  tenant.StatusProvisioning,
	}
	if f.Accent != "" {
		t.Settings = map[string]string{SettingAccent: f.Accent}
	}
	return t, fieldFault(t.Validate())
}

const (
	maxNameRunes = 60
	taken        = "This address is taken. Choose another."
)

// NameFault says what is wrong with a workspace's name; nothing if it is fine.
func NameFault(name string) string {
	switch {
	case name == "":
		return "Give your workspace a name."
	case utf8.RuneCountInString(name) > maxNameRunes:
		return "Keep the name to 60 characters."
	case strings.ContainsFunc(name, unicode.IsControl) || !utf8.ValidString(name):
		return "Use letters, digits and signs only."
	}
	return ""
}

func slugFault(slug string) string {
	switch {
	case slug == "":
		return "Choose an address."
	case tenant.IsReservedSlug(slug):
		return "“" + slug + "” is reserved. Choose another address."
	case tenant.ValidateSlug(slug) != nil:
		return "Use letters a–z, digits and hyphens, at most 63, with no hyphen at either end."
	}
	return ""
}

func emailFault(email string) string {
	if email == "" {
		return "Enter an e-mail address, so that we can reach you."
	}
	addr, err := mail.ParseAddress(email)
	if err != nil || addr.Address != email || !strings.Contains(email[strings.LastIndexByte(email, '@'):], ".") {
		return "This does not look like an e-mail address. Example: you@example.com."
	}
	return ""
}

// fieldFault turns what the record itself refuses into a FormError.
func fieldFault(err error) error {
	var fault *tenant.FieldError
	if !errors.As(err, &fault) {
		return err
	}
	field, ok := map[string]string{"Name": "name", "Slug": "slug", "Contact.Email": "email"}[fault.Field]
	switch {
	case !ok:
		return err
	case errors.Is(err, tenant.ErrExists):
		return &FormError{Fields: map[string]string{field: taken}}
	default:
		return &FormError{Fields: map[string]string{field: "Use plain text without special characters, and keep it short."}}
	}
}
