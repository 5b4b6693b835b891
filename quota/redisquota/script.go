package redisquota

import (
	"context"
	"embed"
	"strings"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/*.lua
var sources embed.FS

// script is a Lua program that Redis runs in one atomic step.
type script = redis.Script

var (
	takeScript  = compose("numbers", "input", "windows", "rates", "held", "counters", "take")
	readScript  = compose("numbers", "input", "windows", "rates", "held", "counters", "read")
	renewScript = compose("numbers", "input", "held", "renew")
)

// compose returns the script of the files, one after the other.
func compose(files ...string) *script {
	var text strings.Builder
	for _, file := range files {
		source, _ := sources.ReadFile("lua/" + file + ".lua") // embedded: it is there
		text.Write(source)
	}
	return redis.NewScript(text.String())
}

// run calls the script, by its hash unless the server does not know that: then nothing
// was run, and the call with the text is the first.
func (r request) run(ctx context.Context, client redis.UniversalClient) *redis.Cmd {
	cmd := r.script.EvalSha(ctx, client, r.keys, r.args...)
	if unloaded(cmd.Err()) {
		return r.script.Eval(ctx, client, r.keys, r.args...)
	}
	return cmd
}

// runAll calls the scripts of all requests in as few round trips as there are servers.
func runAll(ctx context.Context, client redis.UniversalClient, requests []request) []*redis.Cmd {
	cmds := send(ctx, client, requests, (*script).EvalSha)
	again(cmds, requests, unloaded, func(some []request) []*redis.Cmd { return send(ctx, client, some, (*script).Eval) })
	return cmds
}

// again calls call with the requests whose answer is an error of a kind, and puts the
// answers in its place.
func again(cmds []*redis.Cmd, requests []request, kind func(error) bool, call func([]request) []*redis.Cmd) {
	var some []request
	var of []int
	for i, cmd := range cmds {
		if kind(cmd.Err()) {
			some, of = append(some, requests[i]), append(of, i)
		}
	}
	if len(some) == 0 {
		return
	}
	for n, cmd := range call(some) {
		cmds[of[n]] = cmd
	}
}

type call func(s *script, ctx context.Context, c redis.Scripter, keys []string, args ...any) *redis.Cmd

func send(ctx context.Context, client redis.UniversalClient, requests []request, by call) []*redis.Cmd {
	pipe := client.Pipeline()
	cmds := make([]*redis.Cmd, len(requests))
	for i, r := range requests {
		cmds[i] = by(r.script, ctx, pipe, r.keys, r.args...)
	}
	if len(requests) > 0 {
		_, _ = pipe.Exec(ctx) // each command has its own error
	}
	return cmds
}
