package durable

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
)

// DamagedError is a file that is not what was written. Remedy says what to do about it.
type DamagedError struct {
	Path, Reason, Remedy string
}

// Error implements error.
func (e *DamagedError) Error() string {
	text := e.Path + ": damaged: " + e.Reason
	if e.Remedy != "" {
		text += "; " + e.Remedy
	}
	return text
}

// reasonChanged is that of a file whose checksum is another one.
const reasonChanged = "its checksum is not that of what was written"

// Hex returns the SHA-256 of the file.
func Hex(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Verify compares the file with its SHA-256, in hexadecimal. Another one is a *[DamagedError] with the remedy.
func Verify(path, sum, remedy string) error {
	switch got, err := Hex(path); {
	case err != nil:
		return err
	case got != sum:
		return &DamagedError{path, reasonChanged, remedy}
	}
	return nil
}

// ReadVerified reads a file as [Verify] does.
func ReadVerified(path, sum, remedy string) ([]byte, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if got := sha256.Sum256(raw); hex.EncodeToString(got[:]) != sum {
		return nil, &DamagedError{path, reasonChanged, remedy}
	}
	return raw, nil
}

// Seal writes what encode writes, and its SHA-256 behind it: a file that carries its checksum.
func Seal(out io.Writer, encode func(io.Writer) error) error {
	sum := sha256.New()
	w := bufio.NewWriterSize(io.MultiWriter(out, sum), 1<<16)
	if err := encode(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := out.Write(sum.Sum(nil))
	return err
}

// Unseal returns what was sealed, without the checksum; ok is false where that does not match.
func Unseal(raw []byte) (body []byte, ok bool) {
	if len(raw) < sha256.Size {
		return nil, false
	}
	body, seal := raw[:len(raw)-sha256.Size], raw[len(raw)-sha256.Size:]
	sum := sha256.Sum256(body)
	return body, bytes.Equal(sum[:], seal)
}

// VerifySeal compares a sealed file with its checksum, as [Verify] does.
func VerifySeal(path, remedy string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() < sha256.Size {
		return &DamagedError{path, fmt.Sprintf("%d bytes are not even a checksum", info.Size()), remedy}
	}
	h := sha256.New()
	if _, err := io.CopyN(h, f, info.Size()-sha256.Size); err != nil {
		return err
	}
	seal, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	if !bytes.Equal(h.Sum(nil), seal) {
		return &DamagedError{path, reasonChanged, remedy}
	}
	return nil
}

// ShellWord returns a path as a shell takes it, for a remedy that names a command.
func ShellWord(path string) string {
	if path != "" && !strings.ContainsFunc(path, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("/._-+:@%,=", r)
	}) {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
