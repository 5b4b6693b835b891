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

// pipeline calls the scripts of all requests in as few round trips as there are servers.
func pipeline(ctx context.Context, client redis.UniversalClient, requests []request) error {
	cmds := send(ctx, client, requests, (*script).EvalSha)
	var again []request
	for i, cmd := range cmds {
		switch err := cmd.Err(); {
		case unloaded(err):
			again = append(again, requests[i])
		case err != nil:
			return err
		}
	}
	for _, cmd := range send(ctx, client, again, (*script).Eval) {
		if cmd.Err() != nil {
			return cmd.Err()
		}
	}
	return nil
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
