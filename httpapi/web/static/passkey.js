// Passkeys: the one thing on these pages that needs a script. A form with data-passkey="get" or "create" has the options of
// the ceremony in data-options. It is hidden until this script finds that the browser knows passkeys. When its button is
// pressed, the browser asks for the passkey, and the answer goes into the form's field "passkey" and is sent.
"use strict";

(() => {
	if (!window.PublicKeyCredential || !navigator.credentials) return;

	const decode = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
	const encode = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
		.replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

	// What WebAuthn's JSON spells in base64url is bytes for the browser.
	const optionsOf = (form) => {
		const o = JSON.parse(form.dataset.options).publicKey;
		o.challenge = decode(o.challenge);
		if (o.user) o.user.id = decode(o.user.id);
		for (const list of [o.allowCredentials, o.excludeCredentials]) {
			for (const c of list || []) c.id = decode(c.id);
		}
		return { publicKey: o };
	};

	const answerOf = (credential) => {
		const response = {};
		for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
			if (credential.response[name]) response[name] = encode(credential.response[name]);
		}
		if (credential.response.getTransports) response.transports = credential.response.getTransports();
		return JSON.stringify({
			id: credential.id, rawId: encode(credential.rawId), type: credential.type, response,
			authenticatorAttachment: credential.authenticatorAttachment || undefined,
			clientExtensionResults: credential.getClientExtensionResults(),
		});
	};

	const ask = async (form) => {
		const button = form.querySelector("button");
		const error = form.querySelector("[data-error]");
		button.disabled = true;
		error.hidden = true;
		try {
			const credential = await navigator.credentials[form.dataset.passkey](optionsOf(form));
			form.elements.passkey.value = answerOf(credential);
			HTMLFormElement.prototype.submit.call(form);
		} catch (e) {
			// InvalidStateError: the authenticator has a passkey of this account already. All else is about the same to a person.
			error.textContent = e.name === "InvalidStateError"
				? "This device has a passkey for your account already."
				: "No passkey was used. Try again, or go another way.";
			error.hidden = false;
			button.disabled = false;
		}
	};

	for (const form of document.querySelectorAll("form[data-passkey]")) {
		form.hidden = false;
		form.addEventListener("submit", (event) => {
			event.preventDefault();
			ask(form);
		});
	}
	for (const part of document.querySelectorAll("[data-needs-passkeys]")) part.hidden = false;
})();
