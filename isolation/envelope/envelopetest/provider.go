package envelopetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation/envelope"
)

func providerClauses() []clause[envelope.Provider] {
	return []clause[envelope.Provider]{
		{"unwrap undoes wrap", unwrapUndoes},
		{"a wrapped key says by which key", wrapNames},
		{"a wrapped key does not show what it wraps", wrapHides},
		{"a wrapped key belongs to its binding", bindingHolds},
		{"a wrapped key that was changed does not unwrap", changesShow},
		{"another wrapping key is unknown", unknownKey},
		{"many wrap at once", wrapTogether},
	}
}

var binding = envelope.Binding{Tenant: "acme", Purpose: fields, Version: 1}

// dataKey returns a key that tells its copies from others.
func dataKey(i byte) []byte { return bytes.Repeat([]byte{0x5a, i, 0xc3, ^i}, 8) }

func unwraps(ctx context.Context, p envelope.Provider, w envelope.Wrapped, b envelope.Binding, want []byte) error {
	got, err := p.Unwrap(ctx, w, b)
	if err != nil {
		return fmt.Errorf("unwrap: %w", err)
	}
	if !bytes.Equal(got, want) {
		return errors.New("unwrap returns another key than was wrapped")
	}
	clear(got) // the caller's to overwrite
	return nil
}

func unwrapUndoes(ctx context.Context, p envelope.Provider) error {
	given := dataKey(1)
	w, err := p.Wrap(ctx, given, binding)
	if err != nil {
		return fmt.Errorf("wrap: %w", err)
	}
	if !bytes.Equal(given, dataKey(1)) {
		return errors.New("wrap changes the key it was given")
	}
	clear(given) // the caller's to overwrite
	return steps(
		func() error { return unwraps(ctx, p, w, binding, dataKey(1)) },
		func() error { return unwraps(ctx, p, w, binding, dataKey(1)) },
	)
}

func wrapNames(ctx context.Context, p envelope.Provider) error {
	w, err := p.Wrap(ctx, dataKey(1), binding)
	if err != nil {
		return fmt.Errorf("wrap: %w", err)
	}
	if p.KeyID() == "" {
		return errors.New("KeyID is empty")
	}
	return same("the wrapping key's ID", w.KeyID, p.KeyID())
}

func wrapHides(ctx context.Context, p envelope.Provider) error {
	key := dataKey(1)
	first, err := p.Wrap(ctx, key, binding)
	if err != nil {
		return fmt.Errorf("wrap: %w", err)
	}
	second, err := p.Wrap(ctx, key, binding)
	if err != nil {
		return fmt.Errorf("wrap: %w", err)
	}
	for i := range len(key) - 8 {
		if bytes.Contains(first.Blob, key[i:i+8]) {
			return errors.New("a wrapped key has the data key in it")
		}
	}
	if bytes.Equal(first.Blob, second.Blob) {
		return errors.New("a key wrapped twice looks the same twice")
	}
	return nil
}

func bindingHolds(ctx context.Context, p envelope.Provider) error {
	w, err := p.Wrap(ctx, dataKey(1), binding)
	if err != nil {
		return fmt.Errorf("wrap: %w", err)
	}
	for _, other := range []envelope.Binding{
		{Tenant: "globex", Purpose: fields, Version: 1},
		{Tenant: "acme", Purpose: indexes, Version: 1},
		{Tenant: "acme", Purpose: fields, Version: 2},
		{Tenant: "acmef", Purpose: "ields", Version: 1},
		{Tenant: "acm", Purpose: "efields", Version: 1},
	} {
		_, err := p.Unwrap(ctx, w, other)
		if err := wantErr(fmt.Sprintf("unwrap as %+v", other), err, envelope.ErrUnwrap); err != nil {
			return err
		}
	}
	return nil
}

func changesShow(ctx context.Context, p envelope.Provider) error {
	w, err := p.Wrap(ctx, dataKey(1), binding)
	if err != nil {
		return fmt.Errorf("wrap: %w", err)
	}
	refuse := func(what string, blob []byte) error {
		_, err := p.Unwrap(ctx, envelope.Wrapped{KeyID: w.KeyID, Blob: blob}, binding)
		return wantErr("unwrap with "+what, err, envelope.ErrUnwrap)
	}
	for i := range w.Blob {
		changed := bytes.Clone(w.Blob)
		changed[i] ^= 0x80
		if err := refuse(fmt.Sprintf("byte %d changed", i), changed); err != nil {
			return err
		}
		if err := refuse(fmt.Sprintf("all cut from byte %d", i), w.Blob[:i]); err != nil {
			return err
		}
	}
	return refuse("a byte too much", append(bytes.Clone(w.Blob), 0))
}

func unknownKey(ctx context.Context, p envelope.Provider) error {
	w, err := p.Wrap(ctx, dataKey(1), binding)
	if err != nil {
		return fmt.Errorf("wrap: %w", err)
	}
	w.KeyID = "no-such-key"
	_, err = p.Unwrap(ctx, w, binding)
	return wantErr("unwrap with an ID of no key", err, envelope.ErrUnknownKey)
}

func wrapTogether(ctx context.Context, p envelope.Provider) error {
	return errors.Join(race(racers, func(i int) error {
		b := binding
		b.Version = uint32(i + 1) //nolint:gosec // small
		w, err := p.Wrap(ctx, dataKey(byte(i)), b)
		if err != nil {
			return fmt.Errorf("wrap: %w", err)
		}
		return unwraps(ctx, p, w, b, dataKey(byte(i)))
	})...)
}
