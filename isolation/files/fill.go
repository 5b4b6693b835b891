package files

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/tenancy-go/tenancy/tenant"
)

// chunk is how much is read, reserved and written at a time.
const chunk = 256 << 10

// fill copies content to write, chunk by chunk, each reserved for id before it is
// written. It returns how much it reserved, also with an error.
func (c *config) fill(ctx context.Context, id tenant.ID, content io.Reader, promised int64, buffer []byte, write func([]byte) error) (reserved int64, err error) {
	if err := c.checkSize(promised); err != nil {
		return 0, err
	}
	for {
		n, err := io.ReadFull(content, buffer)
		ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !ended {
			return reserved, fmt.Errorf("files: read the content: %w", err)
		}
		total := reserved + int64(n)
		if err := errors.Join(ctx.Err(), c.checkSize(total)); err != nil {
			return reserved, err
		}
		if promised >= 0 && (total > promised || ended && total < promised) {
			return reserved, fmt.Errorf("%w: want %d bytes", ErrSize, promised)
		}
		if n > 0 {
			if err := c.observer.Reserve(ctx, id, int64(n)); err != nil {
				return reserved, fmt.Errorf("files: %w", err)
			}
			reserved = total
			if err := write(buffer[:n]); err != nil {
				return reserved, err
			}
		}
		if ended {
			return reserved, nil
		}
	}
}

func (c *config) checkSize(size int64) error {
	if size > c.maxSize {
		return fmt.Errorf("%w: %d bytes or more, of at most %d", ErrTooLarge, size, c.maxSize)
	}
	return nil
}

// settle gives back what was reserved, and tells how id's files grew.
func (c *config) settle(ctx context.Context, id tenant.ID, reserved, growth int64) error {
	if reserved == 0 && growth == 0 {
		return nil
	}
	if err := c.observer.Settle(context.WithoutCancel(ctx), id, reserved, growth); err != nil {
		return fmt.Errorf("files: account for %d bytes: %w", growth, err)
	}
	return nil
}
