package signup

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/tenant"
)

const (
	// GiveUpAfter is how long a workspace may stay unfinished before it is removed.
	GiveUpAfter = 24 * time.Hour
	// patience bounds the making of one home.
	patience = time.Minute
)

// ErrUnfinished means that the workspace has its address, but not its home yet.
// Sign up again with the same form to go on.
var ErrUnfinished = errors.New("signup: workspace is not finished, send the form again")

// Service makes workspaces. It is safe for concurrent use, by several processes too.
type Service struct {
	store tenant.Store
	homes isolation.Provisioner
	now   func() time.Time
}

// New returns a Service that keeps records in store and makes homes with homes. now
// is the clock, usually time.Now.
func New(store tenant.Store, homes isolation.Provisioner, now func() time.Time) *Service {
	return &Service{store: store, homes: homes, now: now}
}

// SignUp makes the workspace that form asks for, and returns it when it is ready.
// It goes on if the person who asks for it began it before. Once the address is
// claimed, it does not stop when ctx is cancelled: the browser may be closed.
//
// Errors are a FormError, or wrap ErrUnfinished, or are the store's.
func (s *Service) SignUp(ctx context.Context, form Form) (tenant.Tenant, error) {
	t, err := form.tenant()
	if err != nil {
		return tenant.Tenant{}, s.addTaken(ctx, form.Normalize().Slug, err)
	}
	t, err = s.claim(ctx, t)
	if err != nil {
		return tenant.Tenant{}, err
	}
	return s.finish(ctx, t)
}

// addTaken adds to a form's faults that its address is taken, so that the person
// learns of everything at once.
func (s *Service) addTaken(ctx context.Context, slug string, err error) error {
	var invalid *FormError
	if !errors.As(err, &invalid) || invalid.Fields["slug"] != "" {
		return err
	}
	if _, findErr := s.store.Find(ctx, tenant.BySlug(slug)); findErr == nil {
		invalid.Fields["slug"] = taken
	}
	return err
}

// claim creates t's record, or finds the one that the same person began.
func (s *Service) claim(ctx context.Context, t tenant.Tenant) (tenant.Tenant, error) {
	created, err := s.store.Create(ctx, t)
	if err == nil {
		return created, nil
	}
	if !errors.Is(err, tenant.ErrExists) {
		return tenant.Tenant{}, fmt.Errorf("signup: create the record: %w", err)
	}
	refused := fieldFault(err)
	begun, err := s.store.Find(ctx, tenant.BySlug(t.Slug))
	if err != nil && !errors.Is(err, tenant.ErrNotFound) {
		return tenant.Tenant{}, fmt.Errorf("signup: find the record: %w", err)
	}
	if begun.Status == tenant.StatusProvisioning && strings.EqualFold(begun.Contact.Email, t.Contact.Email) {
		return begun, nil
	}
	return tenant.Tenant{}, refused
}

// finish makes t's home and opens it. After a failure the record stays as it is,
// so that the next attempt goes on from there.
func (s *Service) finish(ctx context.Context, t tenant.Tenant) (tenant.Tenant, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()

	if err := s.homes.Provision(ctx, t); err != nil {
		return tenant.Tenant{}, fmt.Errorf("%w: make the home of %s: %w", ErrUnfinished, t.ID, err)
	}
	t.Status = tenant.StatusActive
	active, err := s.store.Update(ctx, t)
	if errors.Is(err, tenant.ErrConflict) { // another attempt was as fast, or removed it
		active, err = s.store.Find(ctx, tenant.ByID(t.ID))
		if err == nil && active.Status != tenant.StatusActive {
			err = tenant.ErrConflict
		}
	}
	if err != nil {
		return tenant.Tenant{}, fmt.Errorf("%w: open %s: %w", ErrUnfinished, t.ID, err)
	}
	return active, nil
}

// Recover brings every workspace in order when the program starts: homes get the
// current schema, unfinished ones are finished, abandoned ones removed, and so is
// what a removal left behind. It goes on after a failure, and returns all of them.
//
// It visits tenants one after the other, which suits some hundreds.
func (s *Service) Recover(ctx context.Context) error {
	var failures []error
	query := tenant.Query{Limit: tenant.MaxLimit, Status: []tenant.Status{
		tenant.StatusProvisioning, tenant.StatusActive, tenant.StatusReadOnly, tenant.StatusSuspended, tenant.StatusDeleted,
	}}
	for {
		page, err := s.store.List(ctx, query)
		if err != nil {
			return errors.Join(append(failures, fmt.Errorf("signup: list workspaces: %w", err))...)
		}
		for _, t := range page.Tenants {
			if err := s.recoverOne(ctx, t); err != nil {
				failures = append(failures, fmt.Errorf("signup: recover %s: %w", t.ID, err))
			}
		}
		if query.Cursor = page.Next; query.Cursor == "" {
			return errors.Join(failures...)
		}
	}
}

func (s *Service) recoverOne(ctx context.Context, t tenant.Tenant) error {
	now := s.now()
	switch {
	case t.Status == tenant.StatusDeleted && now.Sub(t.DeletedAt) > GiveUpAfter:
		return nil // seen to by an earlier start
	case t.Status == tenant.StatusDeleted:
		return s.homes.Deprovision(ctx, t)
	case t.Status != tenant.StatusProvisioning:
		return s.homes.Migrate(ctx, t)
	case now.Sub(t.CreatedAt) > GiveUpAfter:
		return s.Remove(ctx, t)
	default:
		_, err := s.finish(ctx, t)
		return err
	}
}

// Remove deletes a workspace with all its data. The record goes first: it fails with
// tenant.ErrConflict if anybody changed it since t was read, and nothing opens a
// deleted workspace again.
func (s *Service) Remove(ctx context.Context, t tenant.Tenant) error {
	if _, err := s.store.Delete(ctx, t.ID, t.Version); err != nil {
		return fmt.Errorf("signup: delete the record: %w", err)
	}
	if err := s.homes.Deprovision(ctx, t); err != nil {
		return fmt.Errorf("signup: remove the home: %w", err)
	}
	return nil
}
