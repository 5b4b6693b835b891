package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

// command is one of the program's commands. Its fields are what its flags set.
type command interface {
	// flags declares the command's own flags.
	flags(fs *flag.FlagSet)
	// run does the work and returns what is to be printed, which may be there
	// although the work failed half-way.
	run(ctx context.Context, s *session, args []string) (result, error)
}

// result is what a command did. It is printed for people, or marshalled as JSON.
type result interface {
	print(w io.Writer)
}

// entry is a command in the list of all.
type entry struct {
	name    string
	args    string // for the usage line
	least   int    // arguments at least
	most    int    // arguments at most
	summary string // one line
	help    string // paragraphs
	new     func() command
}

// commands returns all commands, in the order in which help shows them.
func commands() []entry {
	return []entry{
		initEntry(), provisionEntry(), tenantsEntry(), sampleEntry(),
		migrateEntry(), driftEntry(), inspectEntry(),
		exportEntry(), restoreEntry(), cloneEntry(), moveEntry(), rotateEntry(),
	}
}

// options are the flags that every command has.
type options struct {
	config string
	json   bool
	plain  bool
}

func (o *options) flags(fs *flag.FlagSet, env func(string) string) {
	file := env("OPERATOR_CONFIG")
	if file == "" {
		file = "platform/operator.json"
	}
	fs.StringVar(&o.config, "config", file, "the platform's configuration `file` (OPERATOR_CONFIG)")
	fs.BoolVar(&o.json, "json", false, "print the result as JSON on standard output")
	fs.BoolVar(&o.plain, "plain", false, "no progress bars or colours, also on a terminal")
}

// run runs the command that args name and returns the exit code.
func run(ctx context.Context, args []string, env func(string) string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		overview(stderr)
		return exitUsage
	}
	name, rest := args[0], args[1:]
	switch strings.TrimLeft(name, "-") {
	case "h", "help":
		return help(rest, env, stdout, stderr)
	}
	e, ok := find(name)
	if !ok {
		fmt.Fprintf(stderr, "operator: no command %q; see operator help\n", name)
		return exitUsage
	}
	var o options
	c := e.new()
	fs := e.flagSet(c, &o, env)
	given, err := parse(fs, rest)
	if errors.Is(err, flag.ErrHelp) {
		e.usage(stdout, fs)
		return exitOK
	}
	if err == nil && (len(given) < e.least || len(given) > e.most) {
		err = usagef("want operator %s %s", e.name, e.args)
	}
	if err != nil {
		fmt.Fprintf(stderr, "operator %s: %v; see operator %s -h\n", e.name, err, e.name)
		return exitUsage
	}
	console := newConsole(stdout, stderr, o)
	r, err := e.execute(ctx, c, &session{options: o, console: console, env: env}, given)
	code := exitCode(ctx, err)
	console.end(e.name, r, err, code)
	return code
}

// execute runs a command and closes what it opened.
func (e entry) execute(ctx context.Context, c command, s *session, args []string) (r result, err error) {
	defer func() { err = errors.Join(err, s.close()) }()
	return c.run(ctx, s, args)
}

func find(name string) (entry, bool) {
	all := commands()
	i := slices.IndexFunc(all, func(e entry) bool { return e.name == name })
	if i < 0 {
		return entry{}, false
	}
	return all[i], true
}

func (e entry) flagSet(c command, o *options, env func(string) string) *flag.FlagSet {
	fs := flag.NewFlagSet(e.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard) // errors and usage are printed here
	o.flags(fs, env)
	c.flags(fs)
	return fs
}

// parse parses flags wherever they stand among the arguments, and returns the others.
func parse(fs *flag.FlagSet, args []string) (given []string, err error) {
	for {
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		if args = fs.Args(); len(args) == 0 {
			return given, nil
		}
		given, args = append(given, args[0]), args[1:]
	}
}

// help prints the overview, or a command's usage.
func help(args []string, env func(string) string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		overview(stdout)
		return exitOK
	}
	e, ok := find(args[0])
	if !ok {
		fmt.Fprintf(stderr, "operator: no command %q; see operator help\n", args[0])
		return exitUsage
	}
	e.usage(stdout, e.flagSet(e.new(), &options{}, env))
	return exitOK
}

func overview(w io.Writer) {
	fmt.Fprint(w, "operator runs the tenants of a platform.\n\nUsage: operator COMMAND [flags] [arguments]\n\nCommands:\n")
	for _, e := range commands() {
		fmt.Fprintf(w, "  %-12s %s\n", e.name, e.summary)
	}
	fmt.Fprintf(w, "\nEvery command has -h, -json, -plain and -config. Begin with operator init.\n\n%s", exitCodes)
}

func (e entry) usage(w io.Writer, fs *flag.FlagSet) {
	fmt.Fprintf(w, "%s\n\nUsage: operator %s\n\n%s\n\nFlags:\n", e.summary, strings.TrimSpace(e.name+" [flags] "+e.args), strings.TrimSpace(e.help))
	fs.VisitAll(func(f *flag.Flag) {
		kind, text := flag.UnquoteUsage(f)
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" && f.DefValue != "0s" {
			text += fmt.Sprintf(" (default %s)", f.DefValue)
		}
		fmt.Fprintf(w, "  %s\n%s", strings.TrimSpace("-"+f.Name+" "+kind), wrap(text, "      "))
	})
	fmt.Fprintf(w, "\n%s", exitCodes)
}
