package web

import (
	"net/http"

	"github.com/tenancy-go/tenancy/examples/saas/model"
	"github.com/tenancy-go/tenancy/examples/saas/workspace"
)

func (m *Room) documents(w http.ResponseWriter, r *http.Request) {
	all, err := m.work.Documents(r.Context(), workspace.MaxListed)
	if err != nil {
		m.ui.failure(w, r, err)
		return
	}
	m.show(w, r, http.StatusOK, "documents", roomPage{Title: "Documents", Section: "documents", Body: all})
}

func (m *Room) newDocument(w http.ResponseWriter, r *http.Request) {
	m.documentForm(w, r, http.StatusOK, draft{})
}

func (m *Room) documentForm(w http.ResponseWriter, r *http.Request, status int, typed draft) {
	m.show(w, r, status, "document-new", roomPage{Title: "New document", Section: "documents", Draft: typed})
}

func (m *Room) addDocument(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		m.ui.failure(w, r, err)
		return
	}
	title, text := r.PostForm.Get("title"), r.PostForm.Get("text")
	d, err := m.work.AddDocument(r.Context(), title, text)
	if err != nil {
		m.refused(w, r, err, "", draft{Title: title, Text: text}, func(status int, typed draft) {
			m.documentForm(w, r, status, typed)
		})
		return
	}
	redirect(w, r, "/documents/"+d.ID)
}

// documentBody is the body of the page of one document.
type documentBody struct {
	workspace.Document
	Keywords []string
}

func (m *Room) document(w http.ResponseWriter, r *http.Request) {
	m.showDocument(w, r, http.StatusOK, draft{})
}

func (m *Room) showDocument(w http.ResponseWriter, r *http.Request, status int, typed draft) {
	d, err := m.work.Document(r.Context(), r.PathValue("id"))
	if err != nil {
		m.ui.failure(w, r, err)
		return
	}
	const terms = 6
	m.show(w, r, status, "document", roomPage{
		Title: d.Title, Section: "documents", Draft: typed, Body: documentBody{d, model.Keywords(d.Text, terms)},
	})
}

func (m *Room) summariseDocument(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if err := m.work.SummariseDocument(r.Context(), id); err != nil {
		m.refused(w, r, err, model.Summarise{}.Name(), draft{}, func(status int, typed draft) {
			m.showDocument(w, r, status, typed)
		})
		return
	}
	redirect(w, r, "/documents/"+id)
}

func (m *Room) deleteDocument(w http.ResponseWriter, r *http.Request) {
	if err := m.work.DeleteDocument(r.Context(), r.PathValue("id")); err != nil {
		m.ui.failure(w, r, err)
		return
	}
	redirect(w, r, "/documents")
}
