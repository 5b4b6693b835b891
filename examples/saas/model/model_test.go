package model_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/examples/saas/model"
)

const harbour = `The harbour opened a new container terminal in spring. Ships that used to wait for days now unload
within hours. The weather was pleasant on the day. Because the terminal works around the clock, container ships plan
their routes through the harbour again. A band played. Dr. Lee, who ran the project, called the terminal a beginning.
The café sold out of cake!`

func ExampleSummary() {
	fmt.Println(model.Summary(harbour))
	// Output: The harbour opened a new container terminal in spring. Because the terminal works around the clock, container ships plan their routes through the harbour again.
}

func TestCatalogFind(t *testing.T) {
	t.Parallel()
	m, ok := model.Default().Find("echo")
	require.True(t, ok)
	assert.Equal(t, "echo", m.Name())

	_, ok = model.Default().Find("gpt-9")
	assert.False(t, ok)
}

func TestEveryModelAnswersTheLastUserTurn(t *testing.T) {
	t.Parallel()
	turns := []model.Turn{
		{Role: model.User, Text: "Before."},
		{Role: model.User, Text: "  One sentence.  "},
		{Role: model.Assistant, Text: "Something else."},
	}
	for _, m := range model.Default() {
		reply, err := m.Reply(t.Context(), turns)
		require.NoError(t, err)
		assert.Contains(t, reply, "One sentence.", m.Name())
		assert.NotContains(t, reply, "Before", m.Name())
		assert.NotContains(t, reply, "Something else", m.Name())
		assert.NotEmpty(t, m.About())
	}
}

func TestEveryModelRefusesSilence(t *testing.T) {
	t.Parallel()
	for _, m := range model.Default() {
		_, err := m.Reply(t.Context(), []model.Turn{{Role: model.Assistant, Text: "hello"}, {Role: model.User, Text: " \n"}})
		assert.ErrorIs(t, err, model.ErrNothingSaid, m.Name())
	}
}

func TestEveryModelEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, m := range model.Default() {
		_, err := m.Reply(ctx, []model.Turn{{Role: model.User, Text: "hello"}})
		assert.ErrorIs(t, err, context.Canceled, m.Name())
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"nothing", " \n\t", ""},
		{"one sentence is kept", "Only this.", "Only this."},
		{"two sentences are kept, wrapped lines joined", "First\nline. Second?", "First line. Second?"},
		{"no mark at the end", "no mark at the end", "no mark at the end"},
		{
			"abbreviations, initials and decimals end nothing",
			"Dr. A. Lee paid 3.50 e.g. for tea. That is all.", "Dr. A. Lee paid 3.50 e.g. for tea. That is all.",
		},
		{
			"the sentence that shares its words wins",
			"Rain fell. Budgets grow when teams share budgets and teams plan budgets early. Cats sleep.",
			"Budgets grow when teams share budgets and teams plan budgets early.",
		},
		{
			"list items stand alone",
			"Plan:\n- budget for the team budget review\n- lunch\n", "budget for the team budget review",
		},
		{
			"of equal sentences the second adds nothing",
			"Alpha beta gamma. Alpha beta gamma. Delta gamma epsilon zeta. Filler. Noise. Hum.",
			"Alpha beta gamma. Delta gamma epsilon zeta.",
		},
		{"full-width marks", "猫は眠る。", "猫は眠る。"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, model.Summary(tt.text))
		})
	}
}

func TestSummaryIsBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat(harbour+"\n\n", 50)
	summary := model.Summary(long)
	assert.LessOrEqual(t, strings.Count(summary, ".")+strings.Count(summary, "!"), 6)
	assert.NotEmpty(t, summary)
}

func TestKeywords(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []string{"terminal", "container"}, model.Keywords(harbour, 3)[:2])
	assert.Empty(t, model.Keywords("it is so", 3))
}

func FuzzSummary(f *testing.F) {
	f.Add(harbour)
	f.Add("a. b. c. d. e…")
	f.Add("。！？\x00\xff. ...\n-\n- x")
	f.Fuzz(func(t *testing.T, text string) {
		summary := model.Summary(text)
		if model.Words(summary) > model.Words(text)+strings.Count(text, "。")+strings.Count(text, "！")+strings.Count(text, "？") {
			t.Errorf("the summary has more words than the text: %q", summary)
		}
		if utf8.ValidString(text) && !utf8.ValidString(summary) {
			t.Errorf("a character was cut: %q", summary)
		}
	})
}

func BenchmarkSummary(b *testing.B) {
	for b.Loop() {
		model.Summary(harbour)
	}
}

func TestOutline(t *testing.T) {
	t.Parallel()
	const text = "The belt stopped. The belt was full of parcels, and the parcels were wet.\n\n \n\nRain fell."
	reply, err := model.Outline{}.Reply(t.Context(), []model.Turn{{Role: model.User, Text: text}})
	require.NoError(t, err)
	assert.Equal(t, "• The belt was full of parcels, and the parcels were wet.\n   about belt, parcel, full\n\n• Rain fell.\n   about fell, rain", reply)
}
