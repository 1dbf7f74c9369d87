// A command whose result is rows: -o says in which form.
import {Flags} from '@oclif/core'
import {type Columns, LIST_FORMS, type ListForm, listingLines} from '../render/listing.ts'
import {BaseCommand} from './base-command.ts'

export abstract class ListCommand extends BaseCommand {
  static override baseFlags = {
    ...BaseCommand.baseFlags,
    output: Flags.option({
      char: 'o',
      exclusive: ['json'],
      helpValue: 'FORM',
      options: LIST_FORMS,
      summary: 'table, wide (every column), json, csv or name (one a line) (default: table)',
    })(),
  }

  override jsonEnabled(): boolean {
    return super.jsonEnabled() || this.form === 'json'
  }

  /** Asked before the command line is parsed too: errors are told in the same form. */
  protected get form(): ListForm {
    const words = this.argv.includes('--') ? this.argv.slice(0, this.argv.indexOf('--')) : this.argv
    const at = words.findLastIndex((word) => /^(?:-o|--output(?:=|$))/.test(word))
    const given = words[at]?.replace(/^(?:-o=?|--output=?)/, '') || words[at + 1]
    return (at >= 0 && LIST_FORMS.find((form) => form === given)) || 'table'
  }

  /** Prints `rows` in the form that was asked for; `text` is what a person is told. */
  protected list<Row>(rows: readonly Row[], columns: Columns<Row>, text: () => readonly string[]): void {
    const {form} = this
    if (form === 'json') return
    for (const line of form === 'table' ? text() : listingLines(rows, columns, form)) this.log(line)
  }
}
