-- /etc/haproxy/authd.lua: asks authd whose the request is. What the answer means stands in haproxy.cfg.

local function first(headers, name)
    local values = headers and headers[name]
    return values and values[0] or ""
end

core.register_action("authd", { "http-req" }, function(txn)
    -- All headers of a name, as sent: authd refuses two. No body and no query.
    local sent = txn.http:req_get_headers()
    local answer = core.httpclient():get{
        url = "http://authd/v1/verify",
        dst = "abns@authd", -- the listen section of haproxy.cfg, which has the time limits
        headers = { authorization = sent["authorization"] or {}, cookie = sent["cookie"] or {} },
    }
    if answer == nil then return end
    txn:set_var("txn.authd_challenge", first(answer.headers, "www-authenticate"))
    txn:set_var("txn.authd_subject", first(answer.headers, "x-auth-subject"))
    txn:set_var("txn.authd_session", first(answer.headers, "x-auth-session"))
    txn:set_var("txn.authd_scope", first(answer.headers, "x-auth-scope"))
    txn:set_var("txn.authd_status", answer.status)
end)
