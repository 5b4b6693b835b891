package main

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
)

func TestBarFits(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a-very-long-tenant-", 9)
	for _, width := range []int{40, 79, 80, 200} {
		for _, b := range []bar{
			{console: &console{}, name: "migrate", now: 0, total: 1},
			{console: &console{}, name: "migrate", now: 1240, total: 2000, about: long},
			{console: &console{}, name: "migrate", now: 2000, total: 2000, about: "acme"},
			{console: &console{}, name: "export acme", about: long},
			{console: &console{}, name: "move " + long},
		} {
			line := b.render(width, 12*time.Second)
			assert.LessOrEqual(t, utf8.RuneCountInString(line), width, line)
			assert.NotContains(t, line, "\x1b", "no colours were asked for")
		}
	}
}

func TestBar(t *testing.T) {
	t.Parallel()
	b := bar{console: &console{}, name: "migrate", now: 1240, total: 2000, about: "acme"}
	assert.Equal(t, "migrate ━━━━━━━━━━━━━━━──────────  62%  1240/2000  0:12  0:07 left  acme", b.render(80, 12*time.Second))
	b = bar{console: &console{}, name: "move acme", about: "after copied"}
	assert.Equal(t, "⠋ move acme  after copied  1:02:03", b.render(80, time.Hour+2*time.Minute+3*time.Second))
	b.colours = true
	assert.Contains(t, b.render(80, 0), "\x1b[36m")
}

func TestWords(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "1 home, 2 homes, 0 keys", strings.Join([]string{count(1, "home"), count(2, "home"), count(0, "key")}, ", "))
	assert.Equal(t, []string{"999 B", "1.0 KB", "12.3 MB"}, []string{size(999), size(1000), size(12_300_000)})
	assert.Equal(t, "  one two\n", wrap("one\n two", "  "))
}
