package p2p

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"time"
)

const (
	lengthBytes = 4
	// patience is how long a started frame may rest before slowestRate counts:
	// a peer that drips single bytes is cut.
	patience = 10 * time.Second
	// slowestRate is what a link must carry at least, in bytes per second.
	slowestRate = 16 << 10
	// stepBytes is how much is allocated or written at a time, so that a claimed
	// length alone costs nothing.
	stepBytes   = 64 << 10
	readerBytes = 8 << 10
)

var errOversized = errors.New("longer than allowed")

// deadlined is a stream that can be read with a deadline.
type deadlined interface {
	io.Reader
	SetReadDeadline(time.Time) error
}

// inlet reads length-prefixed frames: four bytes, big endian, then the frame
// (docs/protocol.md#links).
type inlet struct {
	stream deadlined
	buffer *bufio.Reader
	max    int
}

func newInlet(stream deadlined, max int) *inlet {
	return &inlet{stream: stream, buffer: bufio.NewReaderSize(stream, readerBytes), max: max}
}

// next reads one frame. It waits for its start until the given instant (zero:
// for ever), then for the rest no longer than a slow link would take.
func (in *inlet) next(until time.Time) ([]byte, error) {
	if in.buffer.Buffered() == 0 {
		if err := in.stream.SetReadDeadline(until); err != nil {
			return nil, err
		}
		if _, err := in.buffer.Peek(1); err != nil {
			return nil, err
		}
	}
	if err := in.hurry(lengthBytes); err != nil {
		return nil, err
	}
	head, err := in.buffer.Peek(lengthBytes)
	if err != nil {
		return nil, cutShort(err)
	}
	size := int(binary.BigEndian.Uint32(head))
	if size > in.max {
		return nil, errOversized
	}
	if err := in.hurry(lengthBytes + size); err != nil {
		return nil, err
	}
	if _, err := in.buffer.Discard(lengthBytes); err != nil {
		return nil, err
	}
	return in.body(size)
}

func (in *inlet) body(size int) ([]byte, error) {
	frame := make([]byte, min(size, stepBytes))
	for got := 0; ; {
		n, err := io.ReadFull(in.buffer, frame[got:])
		if err != nil {
			return nil, cutShort(err)
		}
		if got += n; got == size {
			return frame, nil
		}
		grown := make([]byte, min(size, 2*got))
		copy(grown, frame)
		frame = grown
	}
}

// hurry sets the deadline for what is not in the buffer yet.
func (in *inlet) hurry(want int) error {
	missing := want - in.buffer.Buffered()
	if missing <= 0 {
		return nil
	}
	allowed := patience + time.Duration(missing)*time.Second/slowestRate
	return in.stream.SetReadDeadline(time.Now().Add(allowed))
}

func cutShort(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// writable is a stream that can be written with a deadline.
type writable interface {
	io.Writer
	SetWriteDeadline(time.Time) error
}

// outlet writes length-prefixed frames. Small ones share a write.
type outlet struct {
	stream writable
	buffer []byte // at most stepBytes; nil while idle
}

func (out *outlet) put(frame []byte) error {
	if len(out.buffer)+lengthBytes+len(frame) > stepBytes {
		if err := out.flush(); err != nil {
			return err
		}
	}
	if out.buffer == nil {
		out.buffer = takeBuffer()
	}
	out.buffer = binary.BigEndian.AppendUint32(out.buffer, uint32(len(frame)))
	if lengthBytes+len(frame) <= stepBytes {
		out.buffer = append(out.buffer, frame...)
		return nil
	}
	if err := out.flush(); err != nil {
		return err
	}
	for len(frame) > 0 {
		n := min(len(frame), stepBytes)
		if err := out.write(frame[:n]); err != nil {
			return err
		}
		frame = frame[n:]
	}
	return nil
}

// flush writes what is buffered and gives the buffer back.
func (out *outlet) flush() error {
	if out.buffer == nil {
		return nil
	}
	err := out.write(out.buffer)
	giveBuffer(out.buffer)
	out.buffer = nil
	return err
}

func (out *outlet) write(p []byte) error {
	if err := out.stream.SetWriteDeadline(time.Now().Add(3 * patience)); err != nil {
		return err
	}
	_, err := out.stream.Write(p)
	return err
}
