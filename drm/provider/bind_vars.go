package provider

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"keyflow/drm/secret"
)

// zero returns a value of the variable's type: that of its default or first allowed value, or else text.
func (v Var) zero() any {
	sample := v.Default
	if sample == nil && len(v.Enum) > 0 {
		sample = v.Enum[0]
	}
	switch sample.(type) {
	case int:
		return 0
	case bool:
		return false
	}
	return ""
}

// valueSource says where the value of a variable comes from.
type valueSource string

const (
	fromUser        valueSource = "the user"
	fromEnvironment valueSource = "environment"
	fromFile        valueSource = "file"
	fromDefault     valueSource = "default"
	fromResolve     valueSource = "invented"
	fromNowhere     valueSource = "none"
)

func (v Var) resolve(name string, env Environment) (any, valueSource, error) {
	text, from, err := v.given(name, env)
	if err != nil {
		return nil, from, err
	}
	if from == fromNowhere {
		switch {
		case v.Required:
			return nil, from, errors.New("has no value" + v.whence())
		case v.Default != nil:
			return v.Default, fromDefault, nil
		case v.Secret:
			return secret.Bytes{}, from, nil
		}
		return v.zero(), from, nil
	}
	value, err := v.parse(text)
	if err == nil {
		err = v.check(value)
	}
	if err != nil || !v.Secret {
		return value, from, err
	}
	if len(text) < secret.MinLen {
		return nil, from, fmt.Errorf("is secret and shorter than %d bytes", secret.MinLen)
	}
	return secret.New([]byte(text)), from, nil
}

// given returns the text that the environment has for the variable, and where it comes from.
func (v Var) given(name string, env Environment) (string, valueSource, error) {
	if text, given := env.Vars[name]; given {
		if v.Secret {
			return "", fromUser, errors.New("is secret: give it by environment or file")
		}
		return text, fromUser, nil
	}
	if v.Env != "" {
		if text := env.Getenv(v.Env); text != "" {
			return text, fromEnvironment, nil
		}
	}
	if v.File != "" {
		b, err := readBounded(v.File, maxSecretFile)
		if invents := v.Required && env.Resolve != nil && errors.Is(err, fs.ErrNotExist); err != nil && !invents {
			return "", fromFile, fmt.Errorf("read its file: %w", err)
		}
		if text := strings.TrimRight(string(b), "\r\n"); text != "" {
			return text, fromFile, nil
		}
	}
	if v.Default == nil && env.Resolve != nil {
		if text := env.Resolve(name, v); text != "" {
			return text, fromResolve, nil
		}
	}
	return "", fromNowhere, nil
}

func (v Var) whence() string {
	switch {
	case v.Env != "":
		return ": set the environment variable " + v.Env
	case v.File != "":
		return ": put it into " + v.File
	}
	return ""
}

func (v Var) parse(text string) (any, error) {
	switch v.zero().(type) {
	case int:
		i, err := strconv.Atoi(text)
		if err != nil {
			return nil, errors.New("want a whole number")
		}
		return i, nil
	case bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return nil, errors.New("want true or false")
		}
		return b, nil
	}
	return text, nil
}

// check compares a value with pattern and enum; its errors never quote the value, which may be secret.
func (v Var) check(value any) error {
	if re, err := regexp.Compile(v.Pattern); err == nil && v.Pattern != "" && !re.MatchString(fmt.Sprint(value)) {
		return fmt.Errorf("does not match its pattern %s", v.Pattern)
	}
	if len(v.Enum) > 0 && !slices.Contains(v.Enum, value) {
		return fmt.Errorf("is none of %v", v.Enum)
	}
	return nil
}
