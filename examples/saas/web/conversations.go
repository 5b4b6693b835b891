package web

import (
	"net/http"

	"github.com/tenancy-go/tenancy/examples/saas/workspace"
)

func (m *Room) conversations(w http.ResponseWriter, r *http.Request) {
	m.listConversations(w, r, http.StatusOK, "", draft{})
}

func (m *Room) listConversations(w http.ResponseWriter, r *http.Request, status int, model string, typed draft) {
	all, err := m.work.Conversations(r.Context(), workspace.MaxListed)
	if err != nil {
		m.ui.failure(w, r, err)
		return
	}
	m.show(w, r, status, "conversations", roomPage{
		Title: "Conversations", Section: "conversations", Composes: true, Model: model, Draft: typed, Body: all,
	})
}

func (m *Room) startConversation(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		m.ui.failure(w, r, err)
		return
	}
	model, text := r.PostForm.Get("model"), r.PostForm.Get("text")
	c, err := m.work.Start(r.Context(), model, text)
	if err != nil {
		m.refused(w, r, err, model, draft{Text: text}, func(status int, typed draft) {
			m.listConversations(w, r, status, model, typed)
		})
		return
	}
	redirect(w, r, "/conversations/"+c.ID)
}

// conversationBody is the body of the page of one conversation.
type conversationBody struct {
	workspace.Conversation
	Thread []workspace.Message
}

func (m *Room) conversation(w http.ResponseWriter, r *http.Request) {
	m.showConversation(w, r, http.StatusOK, "", draft{})
}

func (m *Room) showConversation(w http.ResponseWriter, r *http.Request, status int, model string, typed draft) {
	c, err := m.work.Conversation(r.Context(), r.PathValue("id"))
	if err != nil {
		m.ui.failure(w, r, err)
		return
	}
	thread, err := m.work.Messages(r.Context(), c.ID)
	if err != nil {
		m.ui.failure(w, r, err)
		return
	}
	if model == "" {
		model = c.Model
	}
	m.show(w, r, status, "conversation", roomPage{
		Title: c.Title, Section: "conversations", Composes: true, Model: model, Draft: typed, Body: conversationBody{c, thread},
	})
}

func (m *Room) prompt(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		m.ui.failure(w, r, err)
		return
	}
	id, model, text := r.PathValue("id"), r.PostForm.Get("model"), r.PostForm.Get("text")
	if wantsStream(r) {
		m.streamReply(w, r, id, model, text)
		return
	}
	if _, err := m.work.Prompt(r.Context(), id, model, text); err != nil {
		m.refused(w, r, err, model, draft{Text: text}, func(status int, typed draft) {
			m.showConversation(w, r, status, model, typed)
		})
		return
	}
	redirect(w, r, "/conversations/"+id+"#latest")
}

func (m *Room) deleteConversation(w http.ResponseWriter, r *http.Request) {
	if err := m.work.DeleteConversation(r.Context(), r.PathValue("id")); err != nil {
		m.ui.failure(w, r, err)
		return
	}
	redirect(w, r, "/conversations")
}
