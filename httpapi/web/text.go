package web

import (
	"fmt"
	"strings"
	"time"
)

// Ago says how long before now t was, in words; with a date when it was more than a month ago.
func Ago(t, now time.Time) string {
	d := now.Sub(t)
	count := func(n int, unit string) string {
		if n == 1 {
			return "1 " + unit + " ago"
		}
		return fmt.Sprintf("%d %ss ago", n, unit)
	}
	switch {
	case d < time.Minute: // also a clock that is a little ahead
		return "just now"
	case d < time.Hour:
		return count(int(d/time.Minute), "minute")
	case d < 24*time.Hour:
		return count(int(d/time.Hour), "hour")
	case d < 31*24*time.Hour:
		return count(int(d/(24*time.Hour)), "day")
	}
	return t.UTC().Format("2 Jan 2006")
}

// Device says in words which browser and system a User-Agent header speaks of, as far as a person needs it to tell devices
// apart. Whoever sent the header may have made it up.
func Device(userAgent string) string {
	browser := firstOf(userAgent, [][2]string{ // the more special first, as each also names those it descends from
		{"Edg", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser/", "Samsung Internet"}, {"FxiOS/", "Firefox"}, {"CriOS/", "Chrome"},
		{"Firefox/", "Firefox"}, {"Chromium/", "Chromium"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"},
	})
	system := firstOf(userAgent, [][2]string{
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"CrOS", "ChromeOS"}, {"Windows", "Windows"},
		{"Mac OS X", "macOS"}, {"Linux", "Linux"},
	})
	switch {
	case browser != "" && system != "":
		return browser + " on " + system
	case browser != "":
		return browser
	}
	product, _, _ := strings.Cut(userAgent, "/") // curl/8.1, say
	switch product = strings.TrimSpace(product); {
	case product == "":
		return "Unknown device"
	case len(product) > 40:
		return "Other device"
	}
	return product
}

func firstOf(text string, names [][2]string) string {
	for _, n := range names {
		if strings.Contains(text, n[0]) {
			return n[1]
		}
	}
	return ""
}
