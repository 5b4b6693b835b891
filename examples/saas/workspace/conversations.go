package workspace

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tenancy-go/tenancy/examples/saas/model"
)

// Conversation is a thread of messages with models.
type Conversation struct {
	ID        string
	Title     string
	Model     string // answered last
	Messages  int
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Message is one turn of a conversation.
type Message struct {
	Role      model.Role
	Model     string // that was asked, or answered
	Text      string
	CreatedAt time.Time
}

const conversationColumns = `id, title, model, messages, created_at, updated_at`

func scanConversation(r row) (Conversation, error) {
	var c Conversation
	var created, updated int64
	err := r.Scan(&c.ID, &c.Title, &c.Model, &c.Messages, &created, &updated)
	c.CreatedAt, c.UpdatedAt = unstamp(created), unstamp(updated)
	return c, err
}

func scanMessage(r row) (Message, error) {
	var m Message
	var created int64
	err := r.Scan(&m.Role, &m.Model, &m.Text, &created)
	m.CreatedAt = unstamp(created)
	return m, err
}

// Conversations returns the limit conversations that were used last, at most
// MaxListed.
func (w *Workspace) Conversations(ctx context.Context, limit int) ([]Conversation, error) {
	return list(ctx, w.db, scanConversation,
		`SELECT `+conversationColumns+` FROM conversations ORDER BY updated_at DESC, id LIMIT $1`, min(limit, MaxListed))
}

// Conversation returns one conversation, or ErrNotFound.
func (w *Workspace) Conversation(ctx context.Context, id string) (Conversation, error) {
	if !isID(id) {
		return Conversation{}, ErrNotFound
	}
	return one(ctx, w.db, scanConversation,
		`SELECT `+conversationColumns+` FROM conversations WHERE id = $1`, id)
}

// Messages returns the messages of a conversation that Conversation found, oldest
// first.
func (w *Workspace) Messages(ctx context.Context, id string) ([]Message, error) {
	return list(ctx, w.db, scanMessage,
		`SELECT role, model, body, created_at FROM messages WHERE conversation_id = $1 ORDER BY position`, id)
}

// Start opens a conversation with a prompt and its reply. Errors are an
// InputError, a refusal of the tenant's plan, the model's or the database's.
func (w *Workspace) Start(ctx context.Context, modelName, prompt string) (Conversation, error) {
	ask, err := w.ask(modelName, prompt)
	if err != nil {
		return Conversation{}, err
	}
	now := w.now()
	c := Conversation{ID: newID(), Title: titleOf(ask.prompt), Model: modelName, CreatedAt: now, UpdatedAt: now}
	err = w.answer(ctx, &ask, nil, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx,
			`INSERT INTO conversations (id, title, model, created_at, updated_at) VALUES ($1, $2, $3, $4, $5)`,
			c.ID, c.Title, c.Model, stamp(now), stamp(now)); err != nil {
			return fmt.Errorf("workspace: start a conversation: %w", err)
		}
		return w.keep(ctx, tx, c.ID, ask)
	})
	return c, err
}

// Prompt adds a prompt and its reply to a conversation, and returns the reply. Errors
// are ErrNotFound, or those of Start.
func (w *Workspace) Prompt(ctx context.Context, id, modelName, prompt string) (reply string, err error) {
	if _, err := w.Conversation(ctx, id); err != nil {
		return "", err
	}
	history, err := w.Messages(ctx, id)
	if err != nil {
		return "", err
	}
	ask, err := w.ask(modelName, prompt)
	if err != nil {
		return "", err
	}
	err = w.answer(ctx, &ask, history, func(tx *sql.Tx) error { return w.keep(ctx, tx, id, ask) })
	return ask.reply, err
}

// DeleteConversation removes a conversation with its messages, or fails with
// ErrNotFound. What was used stays in the usage.
func (w *Workspace) DeleteConversation(ctx context.Context, id string) error {
	if !isID(id) {
		return ErrNotFound
	}
	return mustAffect(w.db.ExecContext(ctx, `DELETE FROM conversations WHERE id = $1`, id))
}

// exchange is a prompt and what a model replied.
type exchange struct {
	model         model.Model
	prompt, reply string
}

// ask returns the exchange that a prompt begins.
func (w *Workspace) ask(modelName, prompt string) (exchange, error) {
	m, ok := w.models.Find(modelName)
	if !ok {
		return exchange{}, &InputError{Field: "model", Reason: "Choose one of the models."}
	}
	prompt, err := clean("text", prompt, MaxPrompt)
	return exchange{model: m, prompt: prompt}, err
}

// answer lets the model reply, and keeps the exchange with keep. It is charged if both
// succeed; otherwise nothing is left of it.
func (w *Workspace) answer(ctx context.Context, ask *exchange, history []Message, keep func(tx *sql.Tx) error) error {
	turns := make([]model.Turn, 0, len(history)+1)
	for _, h := range history {
		turns = append(turns, model.Turn{Role: h.Role, Text: h.Text})
	}
	turns = append(turns, model.Turn{Role: model.User, Text: ask.prompt})
	words := model.Words(ask.prompt)
	return w.limits.charge(ctx, ask.model.Name(), words, func() (int, error) {
		var err error
		if ask.reply, err = ask.model.Reply(ctx, turns); err != nil {
			return 0, fmt.Errorf("workspace: %s: %w", ask.model.Name(), err)
		}
		return words + model.Words(ask.reply), w.inTx(ctx, keep)
	})
}

// keep writes an exchange and its usage. The update comes first: it locks the
// conversation, so that two prompts at once get positions of their own.
func (w *Workspace) keep(ctx context.Context, tx *sql.Tx, id string, ask exchange) error {
	now := w.now()
	var messages int
	err := tx.QueryRowContext(ctx,
		`UPDATE conversations SET messages = messages + 2, model = $2, updated_at = $3 WHERE id = $1 RETURNING messages`,
		id, ask.model.Name(), stamp(now)).Scan(&messages)
	if err != nil {
		return fmt.Errorf("workspace: continue a conversation: %w", err)
	}
	if _, err := tx.ExecContext(ctx,
		`INSERT INTO messages (conversation_id, position, role, model, body, created_at)
		 VALUES ($1, $2, 'user', $4, $5, $7), ($1, $3, 'assistant', $4, $6, $7)`,
		id, messages-1, messages, ask.model.Name(), ask.prompt, ask.reply, stamp(now)); err != nil {
		return fmt.Errorf("workspace: keep messages: %w", err)
	}
	return w.record(ctx, tx, event{
		kind: kindPrompt, model: ask.model.Name(), wordsIn: model.Words(ask.prompt), wordsOut: model.Words(ask.reply),
	})
}

// titleOf returns the first line of a prompt, cut at a word.
func titleOf(prompt string) string {
	const longest = 60
	line, _, _ := strings.Cut(prompt, "\n")
	line = strings.Join(strings.Fields(line), " ")
	if utf8.RuneCountInString(line) <= longest {
		return line
	}
	cut := string([]rune(line)[:longest])
	if i := strings.LastIndexByte(cut, ' '); i > longest/2 {
		cut = cut[:i]
	}
	return strings.TrimRight(cut, " ,;:-") + "…"
}
