package main

import (
	"fmt"
	"runtime"
	"strings"
)

// panicError is a mistake in the program. Left alone it would end the process
// with the code of wrong usage, and print what was panicked with, of which
// nobody can say that it holds no secret: only the runtime's own words are said.
type panicError struct{ what, where string }

func (e *panicError) Error() string {
	return fmt.Sprintf("this should not happen: %s in %s", e.what, e.where)
}

// panicked makes an error of what recover gave; it is to be called by who called
// recover.
func panicked(value any) error {
	e := &panicError{fmt.Sprintf("a panic with a %T", value), "no code of sfcred's"}
	if own, ok := value.(runtime.Error); ok {
		e.what = own.Error()
	}
	var callers [64]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers[:])])
	below := false // what panicked
	for {
		frame, more := frames.Next()
		ours := strings.HasPrefix(frame.Function, "main.") || strings.HasPrefix(frame.Function, "sfcred/")
		if below && ours {
			e.where = fmt.Sprintf("%s, line %d", frame.Function, frame.Line)
			return e
		}
		below = below || frame.Function == "runtime.gopanic"
		if !more {
			return e
		}
	}
}
