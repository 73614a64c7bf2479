// Package web renders the pages that people see: login, account, console.
//
// A page is a file of templates, which defines "content", inside one layout. [Pages.Write] renders it and sends it with a
// strict Content-Security-Policy: styles, images and forms are of this origin only, there is no inline style or script, nobody
// may frame a page, and a script runs only on a page that names it. Every page works without scripts and without styles.
//
// To add a page, write templates/NAME.html, which defines "content" and shows [Page].Data as $.Data, and call Write with a
// [Page] of that name:
//
//	pages.Write(w, http.StatusOK, web.Page{Name: "notice", Title: "Goodbye", Data: web.Notice{Text: "You are signed out."}})
//
// What several pages need is in templates/parts.html: "field" renders a [Field] with its label, hint and error, "errors" the
// summary that gets the focus, "time" and "ago" a moment. What pages load is in static, and served for a year under a name
// that changes with its content; see [Pages.Asset].
package web
