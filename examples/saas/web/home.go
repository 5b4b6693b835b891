package web

import (
	"net/http"

	"github.com/tenancy-go/tenancy/examples/saas/workspace"
)

// usageDays is how many days the front page looks back.
const usageDays = 14

// homeBody is the body of a workspace's front page.
type homeBody struct {
	Documents []workspace.Document
	Usage     workspace.Usage
}

func (m *Room) home(w http.ResponseWriter, r *http.Request) {
	const newest = 4
	documents, err := m.work.Documents(r.Context(), newest)
	if err != nil {
		m.ui.failure(w, r, err)
		return
	}
	usage, err := m.work.Usage(r.Context(), usageDays)
	if err != nil {
		m.ui.failure(w, r, err)
		return
	}
	m.show(w, r, http.StatusOK, "home", roomPage{
		Title: "Home", Section: "home", Composes: true, Body: homeBody{documents, usage},
	})
}
