package mls

import (
	"encoding/binary"
	"slices"
)

// maxVector is the longest opaque<V> that a decoder follows and an encoder
// writes. RFC 9420 §2.1.2 allows 2^30-1; no message this package accepts can
// hold one as long, so a longer length is refused before anything is allocated.
const maxVector = 1<<30 - 1

// reader decodes the TLS presentation language with the variable-size vectors
// of RFC 9420 §2.1.2. It never copies: every slice it gives aliases its input.
//
// Invariant: once err is set, every read returns a zero value and b is empty, so
// decoders need to look at err only at the end and loops over b terminate.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.b = nil
}

// take returns the next n bytes, or nil after an error.
func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.fail(ErrTruncated)
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) uint8() uint8 {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// length reads a vector length (RFC 9420 §2.1.2). Only the shortest form is
// valid and the two-bit prefix 3 is reserved.
func (r *reader) length() int {
	first := r.uint8()
	switch first >> 6 {
	case 0:
		return int(first)
	case 1:
		n := int(first&0x3f)<<8 | int(r.uint8())
		if n < 1<<6 {
			r.fail(ErrNotCanonical)
		}
		return n
	case 2:
		n := int(first&0x3f) << 24
		if b := r.take(3); b != nil {
			n |= int(b[0])<<16 | int(b[1])<<8 | int(b[2])
		}
		if n < 1<<14 {
			r.fail(ErrNotCanonical)
		}
		return n
	}
	r.fail(ErrNotCanonical)
	return 0
}

// vector reads an opaque<V>.
func (r *reader) vector() []byte {
	n := r.length()
	if r.err != nil {
		return nil
	}
	return r.take(n)
}

// nested reads a vector of structures and returns a reader over its bytes.
func (r *reader) nested() reader {
	b := r.vector()
	return reader{b: b, err: r.err}
}

// present reads the leading byte of an optional<T> (RFC 9420 §2.1.1).
func (r *reader) present() bool {
	switch r.uint8() {
	case 0:
		return false
	case 1:
		return true
	}
	r.fail(ErrNotCanonical)
	return false
}

// finish returns the first error; bytes left over are one.
func (r *reader) finish() error {
	if r.err == nil && len(r.b) != 0 {
		r.fail(ErrTrailingBytes)
	}
	return r.err
}

// list reads a vector<V> of at most limit structures. The limit bounds what short
// elements can make of a long message in memory.
func list[T any](r *reader, limit int, decode func(*reader) T) []T {
	var out []T
	in := r.nested()
	for len(in.b) > 0 {
		if len(out) == limit {
			in.fail(ErrTooLarge)
			break
		}
		v := decode(&in)
		if in.err != nil {
			break
		}
		out = append(out, v)
	}
	if in.err != nil {
		r.fail(in.err)
		return nil
	}
	return out
}

// decodeAll runs one decoder over the whole of b.
func decodeAll[T any](b []byte, decode func(*reader) T) (T, error) {
	r := reader{b: b}
	v := decode(&r)
	if err := r.finish(); err != nil {
		var zero T
		return zero, err
	}
	return v, nil
}

// writer appends the encoding that reader decodes.
type writer struct{ b []byte }

func (w *writer) uint8(v uint8)   { w.b = append(w.b, v) }
func (w *writer) uint16(v uint16) { w.b = binary.BigEndian.AppendUint16(w.b, v) }
func (w *writer) uint32(v uint32) { w.b = binary.BigEndian.AppendUint32(w.b, v) }
func (w *writer) uint64(v uint64) { w.b = binary.BigEndian.AppendUint64(w.b, v) }
func (w *writer) raw(b []byte)    { w.b = append(w.b, b...) }

func (w *writer) vector(b []byte) {
	w.b = appendLength(w.b, len(b))
	w.b = append(w.b, b...)
}

func (w *writer) text(s string) {
	w.b = appendLength(w.b, len(s))
	w.b = append(w.b, s...)
}

func (w *writer) present(yes bool) {
	if yes {
		w.uint8(1)
	} else {
		w.uint8(0)
	}
}

// nested writes what body writes as one vector.
func (w *writer) nested(body func()) {
	start := len(w.b)
	body()
	var head [4]byte
	prefix := appendLength(head[:0], len(w.b)-start)
	w.b = slices.Insert(w.b, start, prefix...)
}

// writeList writes a vector<V> of structures.
func writeList[T any](w *writer, items []T, encode func(*writer, T)) {
	w.nested(func() {
		for _, v := range items {
			encode(w, v)
		}
	})
}

// encode returns what one structure writes.
func encode(write func(*writer)) []byte {
	w := writer{b: make([]byte, 0, 256)}
	write(&w)
	return w.b
}

// appendLength appends the shortest form of a vector length. Lengths are bounded
// by the callers (MaxMessage); a longer one is a programming error.
func appendLength(b []byte, n int) []byte {
	switch {
	case n < 1<<6:
		return append(b, byte(n))
	case n < 1<<14:
		return append(b, 0x40|byte(n>>8), byte(n))
	case n <= maxVector:
		return append(b, 0x80|byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	panic("mls: vector longer than 2^30-1 bytes")
}
