"""The text that `GET /` returns."""

HELP = """\
The vendors' APIs, emulated over HTTP, with faults on demand.

NXCloud   base URL http://HOST:PORT/api/pns/
  POST   /api/pns/ (or any path that is not below)
Ozonetel  base URL http://HOST:PORT; at most 100 numbers a call
  legacy: HTTP Basic; a group is identified by its Id
  POST, PUT, DELETE /CAServicesV3/blockNumberGroupV2.php
  basic: header apiKey; token: Authorization: Bearer TOKEN; both: userName in the body, groups by name
  POST   /ca_apis/createBlockNumber
  PUT    /ca_apis/updateBlockNumbers
  DELETE /ca_apis/deleteBlockNumber
  POST   /ca_apis/CAToken/generateToken (header apiKey)

Control
  GET    /_sandbox/groups       all groups; ?vendor= ?accessKey= (NXCloud's) ?userName= (Ozonetel's)
  POST   /_sandbox/groups       seed a group or an array of them:
                                {"groupId", "phones": [...], "groupName"?, "remark"?, "accessKey"?}
                                {"vendor": "ozonetel", "groupName", "phones": [...], "groupId"? (a number),
                                 "description"?, "userName"?}
  GET    /_sandbox/calls        the log of calls; ?limit= (newest) ?since= (Unix ms)
  DELETE /_sandbox/calls        clear the log of calls
  GET    /_sandbox/faults       active faults, and how often each fired
  POST   /_sandbox/faults       add a fault or an array of them (below)
  DELETE /_sandbox/faults       remove all; /_sandbox/faults/{id} removes one
  GET    /_sandbox/credentials  accepted access keys, and how many secrets each has
  POST   /_sandbox/credentials  rotate: {"secret", "accessKey"?, "newAccessKey"?, "overlap"?}
                                {"vendor": "ozonetel", "apiKey", "userName"?, "newUserName"?, "overlap"?}
                                overlap: the previous ones stay accepted until the next rotation
  POST   /_sandbox/reset        the initial state: no groups, calls, faults, tokens; the first credentials
Ozonetel's groups, calls and credentials have "vendor": "ozonetel"; the others are NXCloud's.

Faults: a field with = is optional, and = gives its default.
  latency                ms: integer; jitter_ms: integer = 0
                         {"kind": "latency", "ms": 300, "jitter_ms": 200}
  status                 status: integer, 200 to 599; body: string = a gateway's page;
                         content_type: string = application/json; applied: boolean = false;
                         retry_after: string = none
                         {"kind": "status", "status": 503, "times": 3}
                         {"kind": "status", "status": 200, "body": "{}", "applied": true}
  throttle               retry_after: string or null = "1" (the header, unchecked; null: none);
                         body: boolean = false (true: HTTP 200, only the body reports it); msg: string;
                         code: integer = 9999 (NXCloud's)
                         {"kind": "throttle", "retry_after": "5", "times": 1}
                         {"kind": "throttle", "body": true, "vendor": "ozonetel"}
  lost                   the change is made, and the connection closes without an answer
                         {"kind": "lost", "action": "createGroup", "times": 1}
  drop                   the connection closes without an answer, and nothing is changed
                         {"kind": "drop", "probability": 0.1}
  late                   delay_ms: integer. The connection closes at once; the call is applied later
                         {"kind": "late", "delay_ms": 2000}
  refuse_numbers         numbers: array of strings. Calls that would add one of them are refused
                         {"kind": "refuse_numbers", "numbers": ["85211111114"]}
  redirect               location: string = http://elsewhere.invalid/api/pns/
                         {"kind": "redirect", "location": "http://127.0.0.1:1/"}
  garbage                form: "html", "truncated", "cut" or "drip" = "html"; interval_ms: integer = 1000
                         (of a drip); applied: boolean = false
                         {"kind": "garbage", "form": "truncated", "applied": true}
  compressed             coding: "gzip", "deflate" or "br" = "gzip" (of br the header only)
                         {"kind": "compressed", "coding": "gzip"}
NXCloud's calls only
  code                   code: integer, not 0; msg: string = the vendor's
                         {"kind": "code", "code": 10009, "msg": "try again"}
  code_as_string         codes are answered as strings
                         {"kind": "code_as_string"}
  page_cap               most: integer. A page of a listing has at most so many groups
                         {"kind": "page_cap", "most": 100}
  hide_groups            groups: array of strings. A listing leaves them out, but its total counts them
                         {"kind": "hide_groups", "groups": ["6a7sd3402px21429s04"]}
Ozonetel's calls only
  reject_numbers         numbers: array of strings. They are in output.error under status success
                         {"kind": "reject_numbers", "numbers": ["919876543210"]}
  authentication_failed  http: 200 or 401 = 401
                         {"kind": "authentication_failed", "times": 1}
  kill_token             the token of the call is revoked
                         {"kind": "kill_token", "times": 1}
  error                  message: string; status: "error", "fail" or "false" = "error";
                         errors: object of strings = none; http: integer = 200
                         {"kind": "error", "message": "Invalid group id", "status": "fail", "http": 401}

Every fault may have these filters; without them it applies to all calls:
  vendor: "nxcloud" or "ozonetel"; groupId: string; probability: number, 0 to 1 = 1; times: integer = none
  action: createGroup, updateGroup, listGroup, deleteGroup (NXCloud); createBlockNumber, updateBlockNumbers,
          deleteBlockNumber, generateToken (Ozonetel, in every mode)

curl -X POST localhost:8900/_sandbox/faults -d '{"kind": "status", "status": 503, "times": 3}'
"""
