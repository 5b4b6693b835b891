package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"

	"github.com/tenancy-go/tenancy/examples/saas/selftest"
	"github.com/tenancy-go/tenancy/examples/saas/web"
)

// runSelftest checks the program on data of its own, which it removes again: nothing
// in cfg's directory or database is touched.
func runSelftest(ctx context.Context, cfg Config, out, errOut io.Writer) (err error) {
	cfg, remove, err := scratch(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove(context.WithoutCancel(ctx))) }()
	cfg.PerAddress = 0 // all its requests come from one
	log := slog.New(web.TenantHandler{Handler: slog.NewTextHandler(errOut, &slog.HandlerOptions{Level: slog.LevelWarn})})
	open := func(ctx context.Context) (*App, error) { return Open(ctx, cfg, log) }
	return selftest.Run(ctx, program{open: open, log: log}, out)
}

// program starts the whole program in this process.
type program struct {
	open func(ctx context.Context) (*App, error)
	log  *slog.Logger
}

// Start serves on a free loopback port until the instance is stopped.
func (p program) Start(ctx context.Context) (selftest.Instance, error) {
	app, err := p.open(ctx)
	if err != nil {
		return selftest.Instance{}, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return selftest.Instance{}, errors.Join(err, app.Close())
	}
	serving, stop := context.WithCancel(ctx)
	stopped := make(chan error, 1)
	go func() { stopped <- serve(serving, app.Guard.Listener(listener), app.Handler, p.log) }()
	return selftest.Instance{
		Addr:     listener.Addr().String(),
		Store:    app.Store,
		Remove:   app.Sign.Remove,
		Override: app.Plans.SetOverride,
		Stop: func() error {
			stop()
			return errors.Join(<-stopped, app.Close())
		},
	}, nil
}
