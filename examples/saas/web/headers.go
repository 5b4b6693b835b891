package web

import (
	"net/http"
	"path"
	"strings"
)

// policy lets a page load what this server sends, and nothing inline.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'; form-action 'self'"

// Wrap puts around the whole program what every request goes through: headers, the
// files under /static/, and the refusal of forms from elsewhere.
func (u *UI) Wrap(next http.Handler) http.Handler {
	site := u.sameOrigin(next)
	return securityHeaders(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !isClean(r.URL.Path):
			u.NotFound(w, r)
		case strings.HasPrefix(r.URL.Path, "/static/"):
			u.assets.ServeHTTP(w, r)
		default:
			site.ServeHTTP(w, r)
		}
	}))
}

// isClean reports whether p has no empty and no dot segments. http.ServeMux would
// redirect the others, to where a workspace named by a path is not.
func isClean(p string) bool {
	clean := path.Clean(p)
	return p == clean || p == clean+"/"
}

// securityHeaders sets the headers that every answer carries.
func securityHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
		next.ServeHTTP(w, r)
	})
}

// maxBody is more than the longest document takes, percent-encoded.
const maxBody = 4 << 20

// sameOrigin refuses writes that another site's page asked for (CSRF), another
// tenant's included, and bodies beyond 4 MiB.
func (u *UI) sameOrigin(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.fail(w, r, http.StatusForbidden, "This form came from another site, so nothing was changed.")
	}))
	return protection.Handler(http.MaxBytesHandler(next, maxBody))
}
