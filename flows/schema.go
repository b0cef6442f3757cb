package flows

import "encoding/json"

type schema = map[string]any

// Schema returns the JSON Schema (2020-12) of a flow file, made from the same
// table of verbs that the loader reads. It is for editors: completion and a
// first look. Diagnostics come from the loader alone.
func Schema() ([]byte, error) {
	raw, err := json.MarshalIndent(flowSchema(), "", "  ")
	return append(raw, '\n'), err
}

func flowSchema() schema {
	name := schema{"type": "string", "pattern": nameWord.String()}
	outcomes := []string{}
	for o := Wrong; o < outcomeCount; o++ {
		outcomes = append(outcomes, o.String())
	}
	return schema{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"$id":     "https://ringfence.dev/schema/flow.json",
		"title":   "ringfence flow", "type": "object", "additionalProperties": false,
		"required": []string{"flow", "starts", "scenes"},
		"properties": schema{
			"flow":         schema{"type": "string", "pattern": flowWord.String(), "description": "The name of the flow."},
			"about":        schema{"type": "string", "description": "What the flow is for, in a sentence or two."},
			"starts":       schema{"enum": []string{"inbound", "console", "job", "callback"}, "description": "How it begins."},
			"subject":      schema{"type": "string", "description": "Whom it is about: a subject of the policy, or given."},
			"actions":      listOf(schema{"type": "string"}),
			"language":     schema{"$ref": "#/$defs/language"},
			"translations": listOf(schema{"$ref": "#/$defs/language"}),
			"record":       schema{"enum": []string{"never", "after_connect", "always"}},
			"vars":         schema{"type": []string{"object", "null"}, "propertyNames": name, "additionalProperties": schema{"type": "string"}},
			"otherwise": schema{"type": []string{"object", "null"}, "propertyNames": schema{"enum": outcomes},
				"additionalProperties": schema{"$ref": "#/$defs/target"}},
			"scenes": schema{"type": "object", "minProperties": 1, "propertyNames": name, "additionalProperties": schema{
				"type": "array", "minItems": 1, "maxItems": maxSceneLines, "items": schema{"$ref": "#/$defs/line"}}},
		},
		"$defs": schema{
			"language": schema{"type": "string", "pattern": langTag.String()},
			"text":     schema{"type": []string{"string", "number"}},
			"word":     schema{"type": []string{"string", "number"}},
			"target": schema{"description": "A scene; running back needs { go: scene, at_most: 3, then: scene }.",
				"if": schema{"type": "object"}, "then": schema{"required": []string{"go"}, "additionalProperties": false,
					"properties": schema{"go": name, "at_most": schema{"type": "integer", "minimum": 1, "maximum": maxAtMost}, "then": name}},
				"else": schema{"type": "string"}},
			"line": lineSchema(),
		},
	}
}

func listOf(item schema) schema {
	return schema{"if": schema{"type": "array"}, "then": schema{"items": item}, "else": schema{"type": []string{"string", "null"}}}
}

// lineSchema dispatches by verb with if and then, never oneOf, so that an
// editor says what is wrong with the line at hand. say is a verb and a setting:
// it is the verb where no verb that takes it stands beside it.
func lineSchema() schema {
	var rules []any
	var verbKeys []any
	withSay := []any{}
	for v := Say; v < verbCount; v++ {
		for _, s := range verbs[v].settings {
			if s == "say" {
				withSay = append(withSay, schema{"required": []string{verbs[v].word}})
			}
		}
	}
	for v := Say; v < HangUp; v++ {
		rule := verbs[v]
		when := schema{"required": []string{rule.word}}
		if v == Say {
			when["not"] = schema{"anyOf": withSay}
		}
		verbKeys = append(verbKeys, schema{"required": []string{rule.word}})
		props := schema{rule.word: argSchema(v)}
		for _, s := range rule.settings {
			props[s] = settingSchema(v, s)
		}
		for _, o := range rule.outcomes {
			props[o.String()] = schema{"$ref": "#/$defs/target"}
		}
		if v == Run || v == Callback { // what the other flow returns
			for o := Wrong; o < outcomeCount; o++ {
				props[o.String()] = schema{"$ref": "#/$defs/target"}
			}
		}
		then := schema{"properties": props, "additionalProperties": false}
		if v == Choose {
			then["patternProperties"] = schema{"^[0-9*#]$": schema{"$ref": "#/$defs/target"}}
		}
		if len(rule.needs) > 0 {
			then["required"] = rule.needs
		}
		rules = append(rules, schema{"if": when, "then": then})
	}
	return schema{"if": schema{"type": "string"}, "then": schema{"const": HangUp.String()},
		"else": schema{"type": "object", "anyOf": verbKeys, "allOf": rules}}
}

func argSchema(v Verb) schema {
	switch v {
	case Say, Ask, Choose, Reach, Alert:
		return schema{"$ref": "#/$defs/text"}
	case Tell:
		return schema{"const": "clerk"}
	case Check:
		return schema{"enum": []string{"attestation", "number"}}
	case Verify:
		return schema{"enum": []string{"pin", "otp", "totp", "passkey"}}
	case Language:
		return schema{"$ref": "#/$defs/language"}
	case Return:
		return schema{"enum": append([]string{"ok"}, outcomeNames[Wrong:]...)}
	}
	return schema{"type": "string", "minLength": 1, "description": verbs[v].arg}
}

func settingSchema(v Verb, setting string) schema {
	switch setting {
	case "whole":
		return schema{"type": "boolean"}
	case "tries":
		return schema{"type": "integer", "minimum": 1, "maximum": 5}
	case "wait":
		return schema{"type": "string", "pattern": `^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`, "description": "from " + spell(verbs[v].least) + " to " + spell(verbs[v].longest)}
	case "at_most":
		return schema{"type": "integer", "minimum": 1, "maximum": maxAtMost}
	case "to":
		return schema{"enum": []Destination{ToMobile, ToLandline, ToNumberOnFile}}
	case "meanwhile":
		return schema{"enum": []string{"hold", "hang_up"}}
	case "lock":
		return schema{"const": "subject"}
	case "say":
		return schema{"$ref": "#/$defs/text"}
	case "then":
		if v == If {
			return schema{"$ref": "#/$defs/target"}
		}
	}
	return schema{"type": "string"}
}
