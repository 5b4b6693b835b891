package envelope

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// current returns the key to seal with. It makes one if there is none, and a new
// version where age asks for it.
func (k *Keys) current(ctx context.Context, id ringID) (*dataKey, error) {
	return again(ctx, func() (*dataKey, error) {
		r, _, err := k.ring(ctx, id)
		if err != nil {
			return nil, err
		}
		if k.config.maxAge > 0 && id.purpose != Indexes && r.dueByAge(k.config.now(), k.config.maxAge, k.config.ttl) {
			if newer, err := k.add(ctx, r, r.latest().Version); err == nil { // else the old version is as good for a while
				r = newer
			}
		}
		if key := r.currentKey(); key != nil {
			return key, nil
		}
		if r.latest().Version == 0 {
			if r, err = k.add(ctx, r, 0); err != nil {
				return nil, err
			}
		}
		return k.unwrap(ctx, r, r.latest())
	})
}

// version returns the key of a version. The error wraps ErrOpen if there is none.
func (k *Keys) version(ctx context.Context, id ringID, version uint32) (*dataKey, error) {
	return again(ctx, func() (*dataKey, error) {
		r, cached, err := k.ring(ctx, id)
		if err != nil {
			return nil, err
		}
		if key := r.key(version); key != nil {
			return key, nil
		}
		rec, found, maybe := r.record(version)
		if !found && maybe && cached {
			if r, err = k.refresh(ctx, r); err != nil {
				return nil, err
			}
			rec, found, _ = r.record(version)
		}
		if !found {
			return nil, ErrOpen
		}
		return k.unwrap(ctx, r, rec)
	})
}

// again calls try until no key is dropped under its hands.
func again[T any](ctx context.Context, try func() (T, error)) (T, error) {
	for {
		value, err := try()
		if !errors.Is(err, errOutdated) {
			return value, err
		}
		if err := ctx.Err(); err != nil {
			return value, err
		}
	}
}

// ring returns the ring of id from memory, or else from the store.
func (k *Keys) ring(ctx context.Context, id ringID) (r *ring, cached bool, err error) {
	r, err = again(ctx, func() (*ring, error) {
		recalled, epoch := k.recall(id)
		if cached = recalled != nil; cached {
			return recalled, nil
		}
		return k.load(ctx, id, epoch)
	})
	return r, cached, err
}

func (k *Keys) load(ctx context.Context, id ringID, epoch uint64) (*ring, error) {
	return flight(ctx, k, "load", epoch, id, 0, func(ctx context.Context) (*ring, error) {
		records, err := k.read(ctx, id)
		if err != nil {
			return nil, err
		}
		return k.settle(newRing(id, records, k.config.now().Add(k.config.ttl)), epoch)
	})
}

func (k *Keys) recall(id ringID) (*ring, uint64) {
	now := k.config.now()
	k.mu.Lock()
	defer k.mu.Unlock()
	r, ok := k.rings.Get(id)
	if ok && !now.Before(r.expires) {
		k.rings.Remove(id)
		ok = false
	}
	if !ok {
		return nil, k.epoch
	}
	return r, k.epoch
}

// settle keeps r, unless something was forgotten since it began to be read.
func (k *Keys) settle(r *ring, epoch uint64) (*ring, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.epoch != epoch {
		return nil, errOutdated
	}
	if old, ok := k.rings.Peek(r.id); ok {
		old.drop() // Add would replace it without a word
	}
	k.rings.Add(r.id, r)
	return r, nil
}

// read asks the journal, then the store.
func (k *Keys) read(ctx context.Context, id ringID) ([]Record, error) {
	if err := k.checkJournal(ctx, id); err != nil {
		return nil, err
	}
	records, err := k.store.Load(ctx, id.tenant, id.purpose)
	if err != nil {
		return nil, failed("read keys", err)
	}
	return records, nil
}

func (k *Keys) checkJournal(ctx context.Context, id ringID) error {
	if k.config.journal == nil {
		return nil
	}
	_, found, err := k.config.journal.Tombstone(ctx, id.tenant)
	if err != nil {
		return failed("ask the journal", err)
	}
	if found {
		return ErrShredded
	}
	return nil
}

// refresh reads r's records anew. Its unwrapped keys stay for their time. What it
// returns is r, or the ring of whoever asked for the same at the same time.
func (k *Keys) refresh(ctx context.Context, r *ring) (*ring, error) {
	r, err := flight(ctx, k, "refresh", k.currentEpoch(), r.id, 0, func(ctx context.Context) (*ring, error) {
		return r, k.reread(ctx, r)
	})
	return r, err
}

func (k *Keys) reread(ctx context.Context, r *ring) error {
	records, err := k.read(ctx, r.id)
	if errors.Is(err, ErrShredded) {
		k.Forget(r.id.tenant)
	}
	if err == nil {
		r.update(records)
	}
	return err
}

func (k *Keys) currentEpoch() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.epoch
}

// unwrap returns rec's key, and keeps it in r. If the record's wrapping key is gone,
// the record may have been wrapped anew: it is read once more.
func (k *Keys) unwrap(ctx context.Context, r *ring, rec Record) (*dataKey, error) {
	key, err := k.unwrapOnce(ctx, r, rec)
	if !errors.Is(err, ErrUnknownKey) {
		return key, err
	}
	r, readErr := k.refresh(ctx, r)
	if readErr != nil {
		return nil, readErr
	}
	now, found, _ := r.record(rec.Version)
	if !found || now.Wrapped.KeyID == rec.Wrapped.KeyID {
		return nil, err
	}
	return k.unwrapOnce(ctx, r, now)
}

func (k *Keys) unwrapOnce(ctx context.Context, r *ring, rec Record) (*dataKey, error) {
	return flight(ctx, k, "unwrap", k.currentEpoch(), r.id, rec.Version, func(ctx context.Context) (*dataKey, error) {
		if key := r.key(rec.Version); key != nil {
			return key, nil
		}
		raw, err := k.open(ctx, rec.Wrapped, r.id.binding(rec.Version))
		if err != nil {
			return nil, err
		}
		key, err := newDataKey(rec.Version, raw)
		if err != nil {
			return nil, err
		}
		return key, r.keep(key)
	})
}

// open has the provider unwrap a data key. What it belongs to is what was asked
// for, never what the record says of itself.
func (k *Keys) open(ctx context.Context, w Wrapped, b Binding) ([]byte, error) {
	raw, err := k.provider.Unwrap(ctx, w, b)
	if err != nil {
		return nil, failed("unwrap", err)
	}
	if len(raw) != keySize {
		clear(raw)
		return nil, ErrUnwrap
	}
	return raw, nil
}

// add makes the version after the given one, unless another process does so at
// the same time, and reads what there is then.
func (k *Keys) add(ctx context.Context, r *ring, after uint32) (*ring, error) {
	return flight(ctx, k, "add", k.currentEpoch(), r.id, after, func(ctx context.Context) (*ring, error) {
		if r.latest().Version != after {
			return r, nil
		}
		if err := k.create(ctx, r.id, after+1); err != nil && !errors.Is(err, ErrConflict) {
			return nil, err
		}
		return r, k.reread(ctx, r)
	})
}

func (k *Keys) create(ctx context.Context, id ringID, version uint32) error {
	if err := k.checkJournal(ctx, id); err != nil {
		return err
	}
	raw := make([]byte, keySize)
	defer clear(raw)
	_, _ = rand.Read(raw) // never fails: crypto/rand ends the program instead
	wrapped, err := k.provider.Wrap(ctx, raw, id.binding(version))
	if err != nil {
		return failed("wrap", err)
	}
	err = k.store.Create(ctx, Record{Tenant: id.tenant, Purpose: id.purpose, Version: version, Wrapped: wrapped, Created: stamp(k.config.now())})
	if err != nil {
		return failed("keep a new key", err)
	}
	return nil
}

// flight runs do once for all who ask for the same at the same time. It outlives
// the caller who began it. It runs in a goroutine of its own, where a panic of a
// provider or store would end the program instead of one request.
func flight[T any](ctx context.Context, k *Keys, what string, epoch uint64, id ringID, version uint32, do func(context.Context) (*T, error)) (*T, error) {
	name := binary.BigEndian.AppendUint64(nil, epoch)
	name = binary.BigEndian.AppendUint32(name, version)
	name = appendPart(appendPart(appendPart(name, what), string(id.tenant)), string(id.purpose))
	done := k.flights.DoChan(string(name), func() (_ any, err error) {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("%w: %s: the provider or store panicked: %v", ErrUnavailable, what, p)
			}
		}()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.config.timeout)
		defer cancel()
		return do(ctx)
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case result := <-done:
		value, _ := result.Val.(*T)
		return value, result.Err
	}
}

// classes are the errors that a provider or store tells of by themselves.
var classes = []error{ErrShredded, ErrUnwrap, ErrUnknownKey, ErrConflict, ErrUnavailable}

// failed returns err as one of this package's: any that says nothing else means
// that there was no answer.
func failed(what string, err error) error {
	if slices.ContainsFunc(classes, func(class error) bool { return errors.Is(err, class) }) {
		return fmt.Errorf("envelope: %s: %w", what, err)
	}
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, what, err)
}
