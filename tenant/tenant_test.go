package tenant_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/tenant"
)

func acme() tenant.Tenant {
	return tenant.Tenant{
		ID:      "tenant-acme",
		Slug:    "acme",
		Name:    "Acme, Inc.",
		Contact: tenant.Contact{Name: "Ada", Email: "ada@acme.com", Phone: "+1 555 0100"},
		Plan:    "pro",
		Status:  tenant.StatusActive,
		Region:  "eu",
		Domains: []string{"app.acme.com", "xn--mnchen-3ya.de"},
		Settings: map[string]string{
			"locale": "de",
		},
	}
}

func TestTenantValidate(t *testing.T) {
	t.Parallel()
	require.NoError(t, acme().Validate())

	tests := []struct {
		field  string
		change func(*tenant.Tenant)
	}{
		{"Slug", func(t *tenant.Tenant) { t.Slug = "" }},
		{"Slug", func(t *tenant.Tenant) { t.Slug = "Acme" }},
		{"Slug", func(t *tenant.Tenant) { t.Slug = "www" }},
		{"Slug", func(t *tenant.Tenant) { t.Slug = "xn--mnchen-3ya" }},
		{"Name", func(t *tenant.Tenant) { t.Name = "" }},
		{"Name", func(t *tenant.Tenant) { t.Name = "a\r\nBcc: b@example.com" }},
		{"Name", func(t *tenant.Tenant) { t.Name = "\xff" }},
		{"Name", func(t *tenant.Tenant) { t.Name = strings.Repeat("x", 201) }},
		{"Contact.Name", func(t *tenant.Tenant) { t.Contact.Name = "a\nb" }},
		{"Contact.Email", func(t *tenant.Tenant) { t.Contact.Email = "a@b\nc" }},
		{"Contact.Phone", func(t *tenant.Tenant) { t.Contact.Phone = strings.Repeat("1", 255) }},
		{"Plan", func(t *tenant.Tenant) { t.Plan = "a\x00" }},
		{"Region", func(t *tenant.Tenant) { t.Region = "\t" }},
		{"Status", func(t *tenant.Tenant) { t.Status = "" }},
		{"Parent", func(t *tenant.Tenant) { t.Parent = t.ID }},
		{"Domains", func(t *tenant.Tenant) { t.Domains = []string{"App.acme.com"} }},
		{"Domains", func(t *tenant.Tenant) { t.Domains = []string{"acme.com:443"} }},
		{"Domains", func(t *tenant.Tenant) { t.Domains = []string{"acme.com."} }},
		{"Domains", func(t *tenant.Tenant) { t.Domains = []string{"acme"} }},
		{"Domains", func(t *tenant.Tenant) { t.Domains = []string{"10.0.0.1"} }},
		{"Domains", func(t *tenant.Tenant) { t.Domains = []string{"münchen.de"} }},
		{"Domains", func(t *tenant.Tenant) { t.Domains = []string{"acme.com", "acme.com"} }},
		{"Domains", func(t *tenant.Tenant) {
			for i := range 101 {
				t.Domains = append(t.Domains, fmt.Sprintf("d%d.acme.com", i))
			}
		}},
		{"Settings", func(t *tenant.Tenant) { t.Settings[""] = "x" }},
		{"Settings", func(t *tenant.Tenant) { t.Settings["a\n"] = "x" }},
		{"Settings", func(t *tenant.Tenant) { t.Settings["a"] = "\x00" }},
		{"Settings", func(t *tenant.Tenant) { t.Settings["a"] = strings.Repeat("x", 64<<10) }},
	}
	for _, tt := range tests {
		record := acme()
		tt.change(&record)
		err := record.Validate()
		require.ErrorIs(t, err, tenant.ErrInvalid, "%s", tt.field)
		var field *tenant.FieldError
		require.ErrorAs(t, err, &field)
		assert.Equal(t, tt.field, field.Field)
		assert.NotEmpty(t, field.Reason)
	}

	for _, change := range []func(*tenant.Tenant){
		func(t *tenant.Tenant) { t.ID = "" },
		func(t *tenant.Tenant) { t.Parent = "No" },
	} {
		record := acme()
		change(&record)
		assert.ErrorIs(t, record.Validate(), tenant.ErrInvalidID)
	}
}

func TestTenantCloneSharesNothing(t *testing.T) {
	t.Parallel()
	original := acme()
	clone := original.Clone()
	require.Equal(t, original, clone)
	clone.Domains[0], clone.Settings["locale"] = "evil.com", "en"
	assert.Equal(t, acme(), original)
}

func TestIsReservedSlug(t *testing.T) {
	t.Parallel()
	for _, slug := range []string{"www", "api", "admin", "localhost"} {
		assert.True(t, tenant.IsReservedSlug(slug), slug)
		assert.ErrorIs(t, tenant.ValidateSlug(slug), tenant.ErrInvalid, slug)
	}
	assert.False(t, tenant.IsReservedSlug("acme"))
}
