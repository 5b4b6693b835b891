package web

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tenancy-go/tenancy/examples/saas/signup"
	"github.com/tenancy-go/tenancy/tenant"
)

func TestContrast(t *testing.T) {
	t.Parallel()
	white := color{255, 255, 255}
	assert.InDelta(t, 21, contrast(color{}, white), 0.001)
	assert.InDelta(t, 4.542, contrast(parseColor("#767676"), white), 0.001)
	assert.InDelta(t, 1.51, contrast(parseColor("#ffcc00"), white), 0.01)
}

// TestEveryAccentIsReadable holds for any colour that a tenant can choose.
func TestEveryAccentIsReadable(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		c := color{float64(random.IntN(256)), float64(random.IntN(256)), float64(random.IntN(256))}
		onLight := shade(c, color{}, parseColor(paperLight))
		onDark := shade(c, color{255, 255, 255}, parseColor(paperDark))
		assert.GreaterOrEqual(t, contrast(onColor(c), c), readable, c)
		assert.GreaterOrEqual(t, contrast(onLight, parseColor(paperLight)), readable, c)
		assert.GreaterOrEqual(t, contrast(onDark, parseColor(paperDark)), readable, c)
	}
}

func TestThemeCSS(t *testing.T) {
	t.Parallel()
	assert.Equal(t, ":root{--accent:#ffcc00;--on-accent:#000000;--accent-light:#7a6200;--accent-dark:#ffcc00}\n",
		themeCSS("#FFCC00"), "a colour too light for text is darkened on light paper")
}

func TestAccentOfRefusesWhatIsNoColour(t *testing.T) {
	t.Parallel()
	for _, accent := range []string{"", "red", "#fff", "#12345g", "#123456;}body{display:none", "#123456\n"} {
		got := accentOf(tenant.Tenant{Settings: map[string]string{signup.SettingAccent: accent}})
		assert.Equal(t, defaultAccent, got, "%q", accent)
	}
	assert.Equal(t, "#123aBc", accentOf(tenant.Tenant{Settings: map[string]string{signup.SettingAccent: "#123aBc"}}))
}
