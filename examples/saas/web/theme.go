package web

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"

	"github.com/tenancy-go/tenancy/examples/saas/signup"
	"github.com/tenancy-go/tenancy/tenant"
)

// defaultAccent is the platform's own colour.
const defaultAccent = "#5b4bdb"

// Swatch is a colour that a workspace can choose.
type Swatch struct{ Name, Hex string }

// Swatches returns the colours on offer.
func Swatches() []Swatch {
	return []Swatch{
		{"Iris", defaultAccent}, {"Ocean", "#0b6bcb"}, {"Lagoon", "#0f7c83"}, {"Forest", "#2c7a4b"},
		{"Amber", "#c77700"}, {"Coral", "#d9483b"}, {"Berry", "#b8327f"}, {"Graphite", "#3f4856"},
	}
}

// serveTheme answers with the workspace's colours as a stylesheet. It is a file of its
// own because the content security policy allows no inline style.
func serveTheme(w http.ResponseWriter, r *http.Request) {
	t, err := tenant.FromContext(r.Context())
	if err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "private, max-age=300")
	_, _ = io.WriteString(w, themeCSS(accentOf(t)))
}

// accentOf returns the tenant's colour, or the platform's if it has none or one that
// is not a colour.
func accentOf(t tenant.Tenant) string {
	if accent := t.Settings[signup.SettingAccent]; signup.ValidAccent(accent) {
		return accent
	}
	return defaultAccent
}

// The grounds that accented text must be readable on: the darkest of the light ones
// and the lightest of the dark ones in tokens.css, with some accent mixed in.
const (
	paperLight = "#eae8e4"
	paperDark  = "#26272e"
	readable   = 4.5 // WCAG 2.2, level AA, for text
)

// themeCSS derives from one colour what the pages need: the colour itself, what is
// written on it, and the colour as text on light and on dark paper.
func themeCSS(accent string) string {
	c := parseColor(accent)
	return fmt.Sprintf(":root{--accent:%s;--on-accent:%s;--accent-light:%s;--accent-dark:%s}\n",
		c, onColor(c), shade(c, color{0, 0, 0}, parseColor(paperLight)), shade(c, color{255, 255, 255}, parseColor(paperDark)))
}

// color is red, green and blue from 0 to 255.
type color [3]float64

func parseColor(hex string) color {
	n, err := strconv.ParseUint(hex[1:], 16, 24)
	if err != nil {
		return parseColor(defaultAccent)
	}
	return color{float64(n >> 16), float64(n >> 8 & 0xff), float64(n & 0xff)}
}

// String returns c as CSS.
func (c color) String() string {
	return fmt.Sprintf("#%02x%02x%02x", uint8(math.Round(c[0])), uint8(math.Round(c[1])), uint8(math.Round(c[2])))
}

// luminance is the relative luminance of WCAG 2.2.
func (c color) luminance() float64 {
	var linear color
	for i, v := range c {
		if v /= 255; v <= 0.04045 {
			linear[i] = v / 12.92
		} else {
			linear[i] = math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	return 0.2126*linear[0] + 0.7152*linear[1] + 0.0722*linear[2]
}

// contrast is the contrast ratio of WCAG 2.2, from 1 to 21.
func contrast(a, b color) float64 {
	la, lb := a.luminance(), b.luminance()
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

// onColor returns black or white, whichever reads better on c: at least 4.58 to 1.
// White is kept as long as it is readable, since it looks calmer on strong colours.
func onColor(c color) color {
	white, ink := color{255, 255, 255}, color{0, 0, 0}
	if contrast(white, c) >= readable || contrast(white, c) >= contrast(ink, c) {
		return white
	}
	return ink
}

// shade moves c towards the end of the scale until it can be read on paper.
func shade(c, end, paper color) color {
	const steps = 50
	for i := range steps + 1 {
		mixed := mix(c, end, float64(i)/steps)
		if contrast(mixed, paper) >= readable {
			return mixed
		}
	}
	return end
}

func mix(a, b color, share float64) color {
	var m color
	for i := range m {
		// Rounded here, so that what is checked is what is shown.
		m[i] = math.Round(a[i] + (b[i]-a[i])*share)
	}
	return m
}
