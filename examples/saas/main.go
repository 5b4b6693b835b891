package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/tenancy-go/tenancy/examples/saas/web"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		_, _ = fmt.Fprintln(os.Stderr, "saas:", err)
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	Config
	addr     string
	selftest bool
}

func parse(args []string, errOut io.Writer) (options, error) {
	o := options{Config: Config{Domain: "localhost", Prefix: "atrium_"}}
	flags := flag.NewFlagSet("saas", flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.StringVar(&o.addr, "addr", "localhost:8080", "address to listen on")
	flags.StringVar(&o.Dir, "dir", "", "directory of the SQLite files, kept over restarts (default: a temporary one)")
	flags.StringVar(&o.Database, "database", "", "URL of PostgreSQL as an administrator, instead of SQLite")
	flags.StringVar(&o.Isolation, "isolation", "row", "with -database: row, schema or database")
	flags.StringVar(&o.Role, "role", "atrium_app", "with -database: role that tenants' statements run as; made if missing")
	flags.Int64Var(&o.PerAddress, "per-address", 600, "requests a minute from one address; 0 for as many as it likes")
	flags.BoolVar(&o.selftest, "selftest", false, "check the whole program over HTTP on data of its own, and exit")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.PerAddress < 0 {
		return options{}, fmt.Errorf("-per-address: want 0 or more, got %d", o.PerAddress)
	}
	if !slices.Contains([]string{"row", "schema", "database"}, o.Isolation) {
		return options{}, fmt.Errorf("-isolation: want row, schema or database, got %q", o.Isolation)
	}
	return o, nil
}

// run is main with its surroundings passed in. It returns when ctx ends.
func run(ctx context.Context, args []string, out, errOut io.Writer) (err error) {
	o, err := parse(args, errOut)
	if err != nil {
		return err
	}
	if o.selftest {
		return runSelftest(ctx, o.Config, out, errOut)
	}
	if o.Dir == "" {
		if o.Dir, err = os.MkdirTemp("", "saas-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.Dir)) }()
	}
	log := slog.New(web.TenantHandler{Handler: slog.NewTextHandler(errOut, nil)})
	return start(ctx, o, log, out)
}

// start serves the program until ctx ends, then closes everything in order.
func start(ctx context.Context, o options, log *slog.Logger, out io.Writer) (err error) {
	app, err := Open(ctx, o.Config, log)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, app.Close())
		log.InfoContext(ctx, "stopped")
	}()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.addr)
	if err != nil {
		return err
	}
	welcome(out, listener.Addr(), o)
	return serve(ctx, app.Guard.Listener(listener), app.Handler, log)
}

// welcome prints what to open in a browser.
func welcome(out io.Writer, addr net.Addr, o options) {
	_, port, _ := net.SplitHostPort(addr.String())
	host := net.JoinHostPort(o.Domain, port)
	_, _ = fmt.Fprintf(out, "Front page and sign-up   http://%s/\n", host)
	for _, s := range samples {
		_, _ = fmt.Fprintf(out, "%-24s http://%s.%s/  or  http://%s/t/%s/\n", s.form.Name, s.form.Slug, host, host, s.form.Slug)
	}
	if o.Database == "" {
		_, _ = fmt.Fprintf(out, "Data                     %s\n", o.Dir)
	}
	_, _ = fmt.Fprintln(out, "Stop with Ctrl+C.")
}
