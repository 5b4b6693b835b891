package leaktest

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Scenario is something that a user does, in one or more steps. It is run many times,
// so it makes what it uses: a document before it is read, changed and deleted.
type Scenario struct {
	Name  string
	Steps []Step
	// Vars are set before the first step, from templates: names and keys that the
	// user chooses, and that another tenant may choose as well.
	Vars map[string]string
	// Header is sent with every step, as templates.
	Header http.Header
	// Anonymous runs the scenario without the tenant's session and credentials, for one that
	// authenticates otherwise, by a secret variable in Header.
	Anonymous bool
	// OwnSession logs in anew for each run, for a scenario that ends the session.
	OwnSession bool
}

// Step is one request, in templates: {{name}} stands for the value of a variable,
// escaped as the place demands, and {{canary}} for a new marker each time. At most one of
// Form, JSON, Multipart and Body is given.
type Step struct {
	Method string // GET, or POST with a body, unless set
	// Path is what follows [Address.Base], with the query. A path that is nothing but a
	// variable, which was extracted from a link, is taken as it is.
	Path      string
	Header    http.Header
	Cookies   map[string]string // beside those that the application set
	Form      map[string]string // sent as application/x-www-form-urlencoded
	JSON      string            // values are escaped for use between double quotes
	Multipart []Part
	Body      string // sent as it is, with the Content-Type of Header

	// Extract takes values out of the answer.
	Extract map[string]Extractor
	// Status is what the tenant's own request is answered with; 0 is any of 2xx and 3xx.
	Status int
	// Reads tells that a POST changes nothing. GET, HEAD and OPTIONS never do.
	Reads bool
	// Public tells that the answer is for everybody who comes to the tenant's address,
	// whatever credentials they have.
	Public bool
}

// Part is a part of a multipart form.
type Part struct {
	Name, Filename, Type string
	Content              string
}

// String returns the step's method and path.
func (s Step) String() string { return s.method() + " " + s.Path }

func (s Step) method() string {
	switch {
	case s.Method != "":
		return s.Method
	case s.Form != nil || s.JSON != "" || s.Multipart != nil || s.Body != "":
		return http.MethodPost
	default:
		return http.MethodGet
	}
}

// reads reports whether the step changes nothing.
func (s Step) reads() bool {
	return s.Reads || slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions}, s.method())
}

// accepts reports whether a status is the one that the tenant's own request gets.
func (s Step) accepts(status int) bool {
	if s.Status != 0 {
		return status == s.Status
	}
	return status >= 200 && status < 400
}

func (s Step) validate() error {
	bodies := 0
	for _, given := range []bool{s.Form != nil, s.JSON != "", s.Multipart != nil, s.Body != ""} {
		if given {
			bodies++
		}
	}
	if bodies > 1 {
		return fmt.Errorf("step %s: more than one body", s)
	}
	if !strings.HasPrefix(s.Path, "/") && !strings.HasPrefix(s.Path, "{{") {
		return fmt.Errorf("step %s: the path has to begin with / or a variable", s)
	}
	for name, extract := range s.Extract {
		if extract == nil {
			return fmt.Errorf("step %s: no extractor for %s", s, name)
		}
	}
	return nil
}

func (s Scenario) validate() error {
	if s.Name == "" {
		return errors.New("no name")
	}
	if len(s.Steps) == 0 {
		return errors.New("no steps")
	}
	for _, step := range s.Steps {
		if err := step.validate(); err != nil {
			return err
		}
	}
	return nil
}
