package envelope_test

import (
	"bytes"
	"context"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/envelope"
	"github.com/tenancy-go/tenancy/tenant"
	"github.com/tenancy-go/tenancy/tenant/tenanttest"
)

func TestShred(t *testing.T) {
	t.Parallel()
	clock := tenanttest.NewClock()
	s := envelope.NewMemoryStore()
	k := newKeys(t, keyring(t, "a"), s, envelope.WithClock(clock.Now))
	x, err := k.Index("patients", "ssn")
	require.NoError(t, err)
	sealed, stream := seal(t, k, "acme", ssn, "secret"), write(t, k, "acme", archives, "a.tar", []byte("archived"))
	_, err = x.Token(as(t, "acme"), "secret")
	require.NoError(t, err)
	theirs, theirStream := seal(t, k, "globex", ssn, "theirs"), write(t, k, "globex", archives, "a.tar", []byte("theirs"))

	tombstone, err := k.Shred(system(t), "acme")
	require.NoError(t, err)
	assert.Equal(t, envelope.Tombstone{Tenant: "acme", At: clock.Now().UTC().Truncate(time.Microsecond), Reason: "test"}, tombstone)

	// What a backup of the data brings back does not open, nor can the tenant begin anew.
	for _, k := range []*envelope.Keys{k, newKeys(t, keyring(t, "a"), s)} {
		x, err := k.Index("patients", "ssn")
		require.NoError(t, err)
		_, err = k.Open(as(t, "acme"), ssn, sealed)
		require.ErrorIs(t, err, envelope.ErrShredded)
		_, err = tryRead(t, k, "acme", archives, "a.tar", stream)
		require.ErrorIs(t, err, envelope.ErrShredded)
		_, err = x.Tokens(as(t, "acme"), "secret")
		require.ErrorIs(t, err, envelope.ErrShredded)
		_, err = x.Token(as(t, "acme"), "secret")
		require.ErrorIs(t, err, envelope.ErrShredded)
		_, err = k.Seal(as(t, "acme"), ssn, []byte("text"))
		require.ErrorIs(t, err, envelope.ErrShredded)
		_, err = k.Writer(as(t, "acme"), &bytes.Buffer{}, "new", "")
		require.ErrorIs(t, err, envelope.ErrShredded)
		_, err = k.Rotate(as(t, "acme"), envelope.Fields)
		require.ErrorIs(t, err, envelope.ErrShredded)
		require.ErrorIs(t, k.Ensure(as(t, "acme"), "new"), envelope.ErrShredded)

		requireOpens(t, k, "globex", ssn, theirs, "theirs")
		assert.Equal(t, "theirs", read(t, k, "globex", theirStream))
	}

	clock.Advance(time.Hour)
	again, err := k.Shred(system(t), "acme")
	require.NoError(t, err)
	assert.Equal(t, tombstone, again, "the first one counts")
	_, err = k.Shred(system(t), "Not an ID")
	require.Error(t, err)
	_, err = k.Shred(system(t), "never-seen")
	require.NoError(t, err)
	_, err = k.Seal(as(t, "never-seen"), ssn, nil)
	require.ErrorIs(t, err, envelope.ErrShredded)
}

// Another process goes on with what it has for a TTL at most, or until it is told.
func TestShredReachesOtherProcesses(t *testing.T) {
	t.Parallel()
	clock := tenanttest.NewClock()
	s := envelope.NewMemoryStore()
	here := newKeys(t, keyring(t, "a"), s)
	late := newKeys(t, keyring(t, "a"), s, envelope.WithClock(clock.Now), envelope.WithTTL(time.Minute))
	told := newKeys(t, keyring(t, "a"), s)
	sealed, theirs := seal(t, here, "acme", ssn, "secret"), seal(t, here, "globex", ssn, "theirs")
	requireOpens(t, late, "acme", ssn, sealed, "secret")
	requireOpens(t, told, "acme", ssn, sealed, "secret")
	_, err := here.Shred(system(t), "acme")
	require.NoError(t, err)

	clock.Advance(time.Minute - 1)
	requireOpens(t, late, "acme", ssn, sealed, "secret")
	clock.Advance(1)
	_, err = late.Open(as(t, "acme"), ssn, sealed)
	require.ErrorIs(t, err, envelope.ErrShredded)

	told.Forget("acme")
	_, err = told.Open(as(t, "acme"), ssn, sealed)
	require.ErrorIs(t, err, envelope.ErrShredded)
	told.ForgetAll()
	requireOpens(t, told, "globex", ssn, theirs, "theirs")

	// A version that is not known leads to the store, and so to the tombstone.
	asked := newKeys(t, keyring(t, "a"), s)
	clone := seal(t, asked, "initech", ssn, "text")
	_, err = here.Shred(system(t), "initech")
	require.NoError(t, err)
	newer := bytes.Clone(clone)
	newer[4]++
	_, err = asked.Open(as(t, "initech"), ssn, newer)
	require.ErrorIs(t, err, envelope.ErrShredded)
	_, err = asked.Open(as(t, "initech"), ssn, clone)
	require.ErrorIs(t, err, envelope.ErrShredded, "all is dropped then")
}

// A restored backup of the store has the keys and no tombstone. The journal has.
func TestJournalOutlivesARestoredStore(t *testing.T) {
	t.Parallel()
	journal, err := envelope.OpenFileJournal(filepath.Join(t.TempDir(), "shredded"))
	require.NoError(t, err)
	defer journal.Close()
	s := envelope.NewMemoryStore()
	k := newKeys(t, keyring(t, "a"), s, envelope.WithJournal(journal))
	sealed, theirs := seal(t, k, "acme", ssn, "secret"), seal(t, k, "globex", ssn, "theirs")
	backup := copied(t, s)
	_, err = k.Shred(system(t), "acme")
	require.NoError(t, err)

	// Without the journal the restored keys open. That is what the journal is for.
	requireOpens(t, newKeys(t, keyring(t, "a"), copied(t, backup)), "acme", ssn, sealed, "secret")

	restored := newKeys(t, keyring(t, "a"), backup, envelope.WithJournal(journal))
	_, err = restored.Open(as(t, "acme"), ssn, sealed)
	require.ErrorIs(t, err, envelope.ErrShredded)
	_, err = restored.Seal(as(t, "acme"), ssn, nil)
	require.ErrorIs(t, err, envelope.ErrShredded)
	requireOpens(t, restored, "globex", ssn, theirs, "theirs")

	n, err := restored.Reapply(system(t))
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	_, err = newKeys(t, keyring(t, "a"), backup).Open(as(t, "acme"), ssn, sealed)
	require.ErrorIs(t, err, envelope.ErrShredded, "the keys are gone from the restored store")
	n, err = restored.Reapply(system(t))
	require.NoError(t, err)
	assert.Zero(t, n)
	_, err = newKeys(t, keyring(t, "a"), backup).Reapply(system(t))
	require.ErrorContains(t, err, "WithJournal")
}

// A restored backup of the journal learns from the store what it lost.
func TestReapplyCompletesTheJournal(t *testing.T) {
	t.Parallel()
	s, journal := envelope.NewMemoryStore(), envelope.NewMemoryStore()
	k := newKeys(t, keyring(t, "a"), s, envelope.WithJournal(journal))
	_, err := k.Shred(system(t), "acme")
	require.NoError(t, err)
	lost := envelope.NewMemoryStore()
	n, err := newKeys(t, keyring(t, "a"), s, envelope.WithJournal(lost)).Reapply(system(t))
	require.NoError(t, err)
	assert.Zero(t, n)
	_, found, err := lost.Tombstone(t.Context(), "acme")
	require.NoError(t, err)
	assert.True(t, found)
}

// Once all data keys are wrapped anew and the old wrapping key is destroyed, no backup of
// the store is of use, whoever has it.
func TestDestroyedWrappingKeyEndsBackups(t *testing.T) {
	t.Parallel()
	s := envelope.NewMemoryStore()
	k := newKeys(t, keyring(t, "a"), s)
	sealed, theirs := seal(t, k, "acme", ssn, "secret"), seal(t, k, "globex", ssn, "theirs")
	backup := copied(t, s)
	k = newKeys(t, keyring(t, "b", "a"), s)
	_, err := k.Shred(system(t), "acme")
	require.NoError(t, err)
	_, err = k.Rewrap(system(t), nil)
	require.NoError(t, err)

	_, err = newKeys(t, keyring(t, "b"), backup).Open(as(t, "acme"), ssn, sealed)
	require.ErrorIs(t, err, envelope.ErrUnknownKey)
	requireOpens(t, newKeys(t, keyring(t, "b"), s), "globex", ssn, theirs, "theirs")
}

// unshreddable is a store that fails to destroy.
type unshreddable struct {
	*envelope.MemoryStore
	down atomic.Bool
}

func (s *unshreddable) Shred(ctx context.Context, t envelope.Tombstone) error {
	if s.down.Load() {
		return errDown
	}
	return s.MemoryStore.Shred(ctx, t)
}

// A shredding that fails half-way has the journal's word, and is finished by another call.
func TestShredFailsHalfWay(t *testing.T) {
	t.Parallel()
	s, journal := &unshreddable{MemoryStore: envelope.NewMemoryStore()}, envelope.NewMemoryStore()
	k := newKeys(t, keyring(t, "a"), s, envelope.WithJournal(journal))
	sealed := seal(t, k, "acme", ssn, "secret")
	s.down.Store(true)
	_, err := k.Shred(system(t), "acme")
	require.ErrorIs(t, err, envelope.ErrUnavailable)
	_, err = k.Open(as(t, "acme"), ssn, sealed)
	require.ErrorIs(t, err, envelope.ErrShredded)
	s.down.Store(false)
	_, err = k.Shred(system(t), "acme")
	require.NoError(t, err)
	records, err := s.List(t.Context(), envelope.Position{}, 10)
	require.NoError(t, err)
	assert.Empty(t, records)
}

// A journal that does not answer lets nothing through.
func TestJournalDown(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "shredded")
	journal, err := envelope.OpenFileJournal(path)
	require.NoError(t, err)
	k := newKeys(t, keyring(t, "a"), envelope.NewMemoryStore(), envelope.WithJournal(journal))
	sealed := seal(t, k, "acme", ssn, "secret")
	require.NoError(t, journal.Close())
	k.ForgetAll()
	_, err = k.Open(as(t, "acme"), ssn, sealed)
	require.ErrorIs(t, err, envelope.ErrUnavailable)
	_, err = k.Shred(system(t), "acme")
	require.ErrorIs(t, err, envelope.ErrUnavailable)
}

// Keys that are being read while the tenant is shredded are not kept.
func TestShredWhileKeysAreRead(t *testing.T) {
	t.Parallel()
	p, s := newKMS(t), envelope.NewMemoryStore()
	sealed := seal(t, newKeys(t, p, s), "acme", ssn, "secret")
	p.hold, p.entered = make(chan struct{}), make(chan struct{}, 10)
	k := newKeys(t, p, s)
	done := make(chan error)
	go func() {
		_, err := k.Open(as(t, "acme"), ssn, sealed)
		done <- err
	}()
	<-p.entered
	_, err := k.Shred(system(t), "acme")
	require.NoError(t, err)
	close(p.hold)
	require.ErrorIs(t, <-done, envelope.ErrShredded)
	_, err = k.Open(as(t, "acme"), ssn, sealed)
	require.ErrorIs(t, err, envelope.ErrShredded)
}

// slow is a store whose answers are on their way for as long as a test likes.
type slow struct {
	*envelope.MemoryStore
	hold    chan struct{}
	entered chan struct{}
}

func (s slow) Load(ctx context.Context, id tenant.ID, p envelope.Purpose) ([]envelope.Record, error) {
	records, err := s.MemoryStore.Load(ctx, id, p)
	select {
	case s.entered <- struct{}{}:
		<-s.hold
	default:
	}
	return records, err
}

// An answer of the store from before the shredding is not relied upon after it.
func TestShredWhileTheStoreAnswers(t *testing.T) {
	t.Parallel()
	memory := envelope.NewMemoryStore()
	sealed := seal(t, newKeys(t, keyring(t, "a"), memory), "acme", ssn, "secret")
	s := slow{memory, make(chan struct{}), make(chan struct{}, 1)}
	k := newKeys(t, keyring(t, "a"), s)
	done := make(chan error)
	go func() {
		_, err := k.Open(as(t, "acme"), ssn, sealed)
		done <- err
	}()
	<-s.entered
	_, err := k.Shred(system(t), "acme")
	require.NoError(t, err)
	close(s.hold)
	require.ErrorIs(t, <-done, envelope.ErrShredded)
	_, err = k.Open(as(t, "acme"), ssn, sealed)
	require.ErrorIs(t, err, envelope.ErrShredded)
}

// A tenant that another process has entered into the journal gets no key any more, even
// here, where it is known to have none yet, and the store has not heard of it.
func TestJournalIsAskedBeforeAKeyIsMade(t *testing.T) {
	t.Parallel()
	s, journal := envelope.NewMemoryStore(), envelope.NewMemoryStore()
	k := newKeys(t, keyring(t, "a"), s, envelope.WithJournal(journal))
	current, err := k.Current(as(t, "acme"), envelope.Fields)
	require.NoError(t, err)
	require.Zero(t, current)
	require.NoError(t, journal.Shred(t.Context(), bury("acme")))
	_, err = k.Seal(as(t, "acme"), ssn, nil)
	require.ErrorIs(t, err, envelope.ErrShredded)
	records, err := s.List(t.Context(), envelope.Position{}, 10)
	require.NoError(t, err)
	assert.Empty(t, records)
}

// Reapply takes effect in its own process at once.
func TestReapplyForgets(t *testing.T) {
	t.Parallel()
	s, journal := envelope.NewMemoryStore(), envelope.NewMemoryStore()
	k := newKeys(t, keyring(t, "a"), s, envelope.WithJournal(journal))
	sealed := seal(t, k, "acme", ssn, "secret")
	require.NoError(t, journal.Shred(t.Context(), bury("acme")))
	requireOpens(t, k, "acme", ssn, sealed, "secret")
	n, err := k.Reapply(system(t))
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	_, err = k.Open(as(t, "acme"), ssn, sealed)
	require.ErrorIs(t, err, envelope.ErrShredded)
}

// Two tenants are used by many goroutines while one is shredded.
func TestShredInTheMiddleOfWork(t *testing.T) {
	t.Parallel()
	k := fresh(t)
	x, err := k.Index("patients", "ssn")
	require.NoError(t, err)
	acme, globex := seal(t, k, "acme", ssn, "secret"), seal(t, k, "globex", ssn, "theirs")
	stream := write(t, k, "acme", archives, "a.tar", []byte("archived"))
	var shredded atomic.Bool
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 200 {
				gone := shredded.Load()
				plain, err := k.Open(as(t, "acme"), ssn, acme)
				if err == nil {
					assert.False(t, gone, "it opened after Shred had returned")
					assert.Equal(t, "secret", string(plain))
				} else {
					assert.ErrorIs(t, err, envelope.ErrShredded)
				}
				if _, err = x.Token(as(t, "acme"), "secret"); err != nil {
					assert.ErrorIs(t, err, envelope.ErrShredded)
				}
				if _, err = tryRead(t, k, "acme", archives, "a.tar", stream); err != nil {
					assert.ErrorIs(t, err, envelope.ErrShredded)
				}
				plain, err = k.Open(as(t, "globex"), ssn, globex)
				assert.NoError(t, err)
				assert.Equal(t, "theirs", string(plain))
			}
		})
	}
	group.Go(func() {
		_, err := k.Shred(system(t), "acme")
		assert.NoError(t, err)
		shredded.Store(true)
	})
	group.Wait()
	_, err = k.Open(as(t, "acme"), ssn, acme)
	require.ErrorIs(t, err, envelope.ErrShredded)
}
